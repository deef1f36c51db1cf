"""The bounds: values worked out by hand, and what must hold between them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.errors import UsageError
from strew.sim import bounds

SIZE = 5e9
RATE = 625e6

COUNTS = st.integers(1, 5000)


def test_the_line_is_size_by_rate() -> None:
    assert bounds.line_s(SIZE, RATE) == 8.0
    assert bounds.round_s(SIZE, 1000, RATE) == 0.008


@pytest.mark.parametrize(
    ("nodes", "rounds"), [(1, 4), (2, 5), (3, 5), (4, 6), (7, 6), (8, 7), (1000, 13)]
)
def test_equal_links_take_chunks_and_doublings(nodes: int, rounds: int) -> None:
    assert bounds.equal_links_s(4, 4, nodes, 1) == rounds


def test_the_story_of_a_thousand_machines() -> None:
    assert bounds.equal_links_s(SIZE, 1000, 1000, RATE) == pytest.approx(8.072)
    assert bounds.single_s(SIZE, 1000, RATE) == 8000


@given(COUNTS, COUNTS)
def test_an_origin_of_equal_rate_is_neither_fast_nor_slow(chunks: int, nodes: int) -> None:
    equal = bounds.equal_links_s(SIZE, chunks, nodes, RATE)
    assert bounds.fast_origin_s(SIZE, chunks, nodes, RATE, 1) == pytest.approx(equal)
    assert bounds.slow_origin_s(SIZE, chunks, nodes, RATE, 1) == pytest.approx(equal)


@given(COUNTS, COUNTS, st.floats(1 / 64, 64), st.floats(1, 4))
def test_a_faster_origin_never_has_the_later_bound(
    chunks: int, nodes: int, ratio: float, times: float
) -> None:
    slower = bounds.origin_s(SIZE, chunks, nodes, RATE, ratio)
    faster = bounds.origin_s(SIZE, chunks, nodes, RATE, ratio * times)
    assert bounds.line_s(SIZE, RATE) * (1 - 1e-9) <= faster <= slower * (1 + 1e-9)


@pytest.mark.parametrize(
    ("ratio", "rounds"),
    [(4, 100 + 3 - 1), (0.5, 200 + 4), (100, 100), (25, 100)],
)
def test_unequal_origins_by_hand(ratio: float, rounds: int) -> None:
    assert bounds.origin_s(100, 100, 25, 1, ratio) == pytest.approx(rounds)


def test_fluid_names_the_narrowest_place() -> None:
    assert bounds.fluid_s(100, 1, [10] * 3, [10] * 3) == 100  # the origin
    assert bounds.fluid_s(100, 10, [10] * 3, [10, 10, 2]) == 50  # one downlink
    assert bounds.fluid_s(100, 10, [1] * 10, [10] * 10) == 50  # all uplinks together
    assert bounds.fluid_s(100, 10, [10] * 10, [10] * 10) == 10


def test_each_class_has_its_own_bound() -> None:
    ups = downs = [10.0] * 9 + [2.5]
    assert bounds.class_fluid_s(100, 10, ups, downs) == {10: 10, 2.5: 40}


@given(
    st.floats(1, 100),
    st.lists(st.tuples(st.floats(1, 100), st.floats(1, 100)), min_size=1, max_size=20),
)
def test_a_slower_class_is_never_bound_to_be_first(
    origin: float, links: list[tuple[float, float]]
) -> None:
    ups, downs = [up for up, _ in links], [down for _, down in links]
    classes = list(bounds.class_fluid_s(1000, origin, ups, downs).values())
    assert classes == sorted(classes)
    assert classes[-1] == bounds.fluid_s(1000, origin, ups, downs)


def test_who_joins_late_is_bound_from_then_on() -> None:
    assert bounds.joining_s(4, 100, 10) == 14


def test_the_plain_ways_by_hand() -> None:
    assert bounds.single_s(100, 7, 1) == 700
    assert bounds.single_s(100, 7, 1, origin_ratio=4) == 175
    assert bounds.single_s(100, 7, 1, origin_ratio=14) == 100
    assert bounds.replicated_s(100, 11, 1, 3) == 500  # 3 filled, then 8 from 4 servers
    assert bounds.replicated_s(100, 12, 1, 3) == 600
    assert bounds.sharded_s(100, 10, 1, 3) == 400
    assert bounds.sharded_s(100, 10, 1, 10) == 190
    assert bounds.chain_s(20, 20, 10, 1) == 29


@pytest.mark.parametrize(
    ("nodes", "arity", "rounds"),
    [
        (1, 2, 5),  # one child: a chain of one
        (2, 2, 10),  # the second child has each chunk one round after the first
        (6, 2, 12),  # the last child of the last child
        (3, 3, 15),
        (4, 1, 8),
    ],
)
def test_a_tree_takes_the_origins_copies_and_the_slowest_way_down(
    nodes: int, arity: int, rounds: int
) -> None:
    assert bounds.tree_s(5, 5, nodes, 1, arity) == rounds


@given(COUNTS, COUNTS)
def test_no_way_has_an_earlier_bound_than_the_best(chunks: int, nodes: int) -> None:
    best = bounds.equal_links_s(1, chunks, nodes, 1) * (1 - 1e-9)
    assert bounds.chain_s(1, chunks, nodes, 1) >= best
    for arity in (2, 3):
        assert bounds.tree_s(1, chunks, nodes, 1, arity) >= best
    assert best >= (1 + math.floor(math.log2(nodes)) / chunks) * (1 - 1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: bounds.line_s(1, 0),
        lambda: bounds.line_s(-1, 1),
        lambda: bounds.round_s(1, 0, 1),
        lambda: bounds.equal_links_s(1, 1, 0, 1),
        lambda: bounds.fast_origin_s(1, 1, 1, 1, 0.5),
        lambda: bounds.slow_origin_s(1, 1, 1, 1, 2),
        lambda: bounds.slow_origin_s(1, 1, 1, 1, 0),
        lambda: bounds.fluid_s(1, 1, [], []),
        lambda: bounds.fluid_s(1, 1, [1], [1, 1]),
        lambda: bounds.replicated_s(1, 3, 1, 4),
        lambda: bounds.sharded_s(1, 3, 1, 0),
        lambda: bounds.tree_s(1, 1, 3, 1, 0),
    ],
)
def test_what_makes_no_sense_is_refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(UsageError):
        call()
