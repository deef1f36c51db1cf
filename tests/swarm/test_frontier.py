"""Which chunks may still come by push: told by the order in which chunks come, stripe by stripe."""

from __future__ import annotations

from strew.swarm.frontier import INNER_RATIO, LAG_MAX_RATIO, LAG_RATIO, LAG_SPARE, Frontier

CHUNKS = 1000
STRIPES = 4
STRIPE_OF = [index % STRIPES for index in range(CHUNKS)]
LAG = 10
BEHIND = LAG_RATIO * LAG + LAG_SPARE
"""How far pushing must be beyond a chunk before that is missed."""


def frontier(inner_of: int = 0) -> Frontier:
    one = Frontier(CHUNKS)
    one.planned(STRIPE_OF, STRIPES, LAG, inner_of)
    return one


def young(one: Frontier, index: int) -> bool:
    return bool(one.young >> index & 1)


def come_to(one: Frontier, index: int, but: int = -1) -> None:
    """All stripes but one have come so far."""
    for stripe in range(STRIPES):
        if stripe != but:
            one.pushed(index + stripe)


def test_in_the_beginning_everything_may_come() -> None:
    assert frontier().young == (1 << CHUNKS) - 1


def test_what_pushing_left_far_behind_is_missed_and_nothing_else() -> None:
    one = frontier()
    come_to(one, 200)
    here = 200 + int(0.75 * (STRIPES - 1))
    assert not young(one, here - BEHIND - 1)
    assert young(one, here - BEHIND) and young(one, CHUNKS - 1)


def test_a_stripe_that_stands_still_holds_the_others_not_up() -> None:
    one = frontier()
    come_to(one, 400, but=0)
    assert not young(one, 400 - 2 * BEHIND)


def test_one_stripe_that_runs_ahead_says_nothing() -> None:
    one = frontier()
    one.pushed(900)
    assert young(one, 0)


def test_a_chunk_to_be_passed_on_is_missed_sooner() -> None:
    inner_of = sum(1 << index for index in range(0, CHUNKS, STRIPES))
    one = frontier(inner_of)
    come_to(one, 400)
    missed = 400 - int(INNER_RATIO * BEHIND)
    soon = missed - missed % STRIPES - STRIPES
    assert not young(one, soon) and young(one, soon + 1)


def test_what_came_after_all_is_waited_for_until_the_next_plan() -> None:
    one = frontier()
    come_to(one, 400)
    here = 400 + int(0.75 * (STRIPES - 1))
    late = here - BEHIND - 20
    assert not young(one, late)
    one.came_after_all(late)
    assert young(one, late) and not young(one, late - LAG_SPARE - 1)
    one.came_after_all(here - 5)  # what was not as late changes nothing
    assert young(one, late)
    one.planned(STRIPE_OF, STRIPES, LAG, 0)
    come_to(one, 400)
    assert not young(one, late)


def test_of_what_it_passes_on_a_node_learns_for_its_own_measure() -> None:
    inner_of = sum(1 << index for index in range(0, CHUNKS, STRIPES))
    one = frontier(inner_of)
    come_to(one, 400)
    late = (400 - int(INNER_RATIO * BEHIND)) // STRIPES * STRIPES - STRIPES
    assert not young(one, late)
    one.came_after_all(late)
    assert young(one, late)


def test_it_waits_no_longer_than_a_limit_for_what_comes_very_late() -> None:
    one = frontier()
    come_to(one, 900)
    here = 900 + int(0.75 * (STRIPES - 1))
    one.came_after_all(0)
    assert not young(one, here - LAG_MAX_RATIO * BEHIND - 1)
    assert young(one, here - LAG_MAX_RATIO * BEHIND)


def test_pushing_never_goes_back() -> None:
    one = frontier()
    come_to(one, 400)
    before = one.young
    come_to(one, 100)
    assert one.young == before


def test_the_others_say_how_far_it_is_where_little_comes() -> None:
    one = frontier()
    one.others_have(500)
    assert not young(one, 500 - BEHIND - 1) and young(one, 500)
    one.others_have(300)
    assert not young(one, 500 - BEHIND - 1)


def test_once_others_have_all_nothing_is_on_its_way() -> None:
    one = frontier()
    one.others_have(CHUNKS)
    assert one.young == 0


def test_a_new_plan_goes_on_from_where_pushing_was() -> None:
    one = frontier()
    come_to(one, 400)
    before = one.young
    one.planned((), 1, LAG, 0)
    assert one.young == before
    one.pushed(700)
    assert not young(one, 700 - BEHIND - 1)


def test_pushing_ends_when_most_stripes_came_to_their_last_chunk() -> None:
    one = frontier()
    come_to(one, CHUNKS - 2 * STRIPES)
    assert not one.ends
    come_to(one, CHUNKS - STRIPES, but=1)
    assert one.ends
