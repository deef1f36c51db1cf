"""Who sends to whom in a group, by arithmetic: empty places, weights, and chunks dealt by bytes."""

from __future__ import annotations

import pytest

from strew.swarm.layout import deal, layout


def test_what_an_empty_place_would_send_to_is_sent_to_by_others_once() -> None:
    present = bytearray(b"\1" * 100)
    for hole in (9, 17, 40, 41, 60):
        present[hole] = 0
    found = layout(bytes(present), 9, 0)
    for stripe in range(9):
        reached = [to for place in range(stripe, 99, 9) for to in found.branches[place]]
        there = [place for place in range(100) if present[place] and place != stripe]
        assert sorted(reached) == there
    assert all(not found.branches[hole] for hole in (9, 17, 40, 41, 60))


def test_a_plan_of_empty_entries_breaks_nothing() -> None:
    assert layout(b"\0" + b"\1" * 29, 6, 0).branches[0] == []


@pytest.mark.parametrize("weights", [(1.0,) * 8, (1 / 8, 1 / 9, 1 / 8, 1 / 7)])
def test_stripes_carry_bytes_by_their_weights_at_any_point_of_the_file(
    weights: tuple[float, ...],
) -> None:
    lengths = tuple(1000 + 37 * n % 501 for n in range(400))
    carried = [0.0] * len(weights)
    for index, stripe in enumerate(deal(lengths, weights)):
        carried[stripe] += lengths[index] / weights[stripe]
        assert max(carried) - min(carried) <= max(lengths) / min(weights)
