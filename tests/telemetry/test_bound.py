"""The least time of a fleet with equal links."""

import pytest

from strew.sim import bounds
from strew.telemetry.bound import equal_links_s


@pytest.mark.parametrize(
    ("nodes", "rounds"), [(1, 100), (2, 101), (3, 101), (4, 102), (8, 103), (1000, 109)]
)
def test_the_bound_is_chunks_and_the_floor_of_the_logarithm(nodes: int, rounds: int) -> None:
    assert equal_links_s(50.0, nodes, 100) == pytest.approx(0.5 * rounds)
    assert bounds.equal_links_s(5000.0, 100, nodes, 100.0) == pytest.approx(0.5 * rounds)


def test_nobody_and_nothing_count_as_one() -> None:
    assert equal_links_s(50.0, 0, 0) == 50.0
