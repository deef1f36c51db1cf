"""The facts both layers share: availability, nearness, age, and the pace of sends."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from strew.content.bitfield import Bitfield
from strew.messages import PeerId
from strew.swarm.neighbour import RECENT_SENDS, Neighbour
from strew.swarm.slots import Slot, UploadSlots
from strew.swarm.state import (
    GRACE_MAX_S,
    GRACE_MIN_S,
    PATIENCE_FIRST_S,
    PATIENCE_MIN_S,
    SETTLE_S,
    SKIP_S,
    SwarmState,
)

CHUNKS = 40


def state(*, have: tuple[int, ...] = (), slots: int = 3) -> SwarmState:
    field = Bitfield(CHUNKS)
    field.update(have)
    return SwarmState(
        1,
        PeerId("m"),
        "",
        [1000] * CHUNKS,
        field,
        UploadSlots(slots),
        random.Random(1),
        origin=False,
    )


def meet(
    of: SwarmState,
    name: str,
    have: tuple[int, ...] = (),
    *,
    near: bool = True,
    origin: bool = False,
) -> Neighbour:
    field = Bitfield(CHUNKS)
    field.update(have)
    one = Neighbour(PeerId(name), field, "", near, origin, True, 0.0)
    of.joined(one)
    return one


# --- who has what ---------------------------------------------------------------------------------

courses = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.sampled_from(("join", "leave", "have", "lack")),
        st.integers(0, CHUNKS - 1),
        st.booleans(),
        st.booleans(),
    ),
    max_size=60,
)


@given(courses)
def test_availability_is_the_sum_of_what_neighbours_have(
    course: list[tuple[str, str, int, bool, bool]],
) -> None:
    of = state()
    for name, what, index, near, origin in course:
        one = of.neighbours.get(PeerId(name))
        if one is None:
            meet(of, name, (index,), near=near, origin=origin)
        elif what == "leave":
            of.left(one)
        elif what == "have":
            of.neighbour_has(one, 1 << index, 1.0)
        elif what == "lack":
            of.neighbour_lacks(one, index)
    for index in range(CHUNKS):
        assert of.availability[index] == sum(index in n.have for n in of.neighbours.values())
    mates = near = 0
    for one in of.neighbours.values():
        if not one.origin:
            mates |= one.have.bits
            near |= one.have.bits if one.near else 0
    assert of.mates_held & mates == mates
    assert of.near_held & near == near


def test_what_the_origin_has_is_not_held_by_mates() -> None:
    of = state()
    meet(of, "o", (1, 2), origin=True)
    meet(of, "f", (3,), near=False)
    meet(of, "n", (4,))
    assert of.mates_held == 1 << 3 | 1 << 4
    assert of.near_held == 1 << 4


# --- age ------------------------------------------------------------------------------------------


def test_a_chunk_heard_of_while_the_origin_pushes_is_young_then_settles() -> None:
    of = state(have=(5,))
    of.pushing_until_s = 100.0
    of.hear_of(1 << 5, 1.0)
    assert of.young and not of.offerable
    of.ripen(1.0 + of.grace_s - 0.01)
    assert of.young
    of.ripen(1.0 + of.grace_s)
    assert not of.young and not of.offerable, "haves are still on their way"
    of.ripen(1.0 + of.grace_s + SETTLE_S)
    assert of.offerable == 1 << 5


def test_without_a_push_nothing_is_young() -> None:
    of = state(have=(5,))
    of.hear_of(1 << 5, 1.0)
    assert not of.young and of.offerable == 1 << 5


def test_when_the_push_ends_everything_is_ripe_at_once() -> None:
    of = state(have=(5,))
    of.pushing_until_s = 2.0
    of.hear_of(1 << 5, 1.9)
    of.ripen(2.0)
    assert not of.young and of.offerable == 1 << 5


def test_who_is_complete_offers_everything() -> None:
    of = state(have=tuple(range(CHUNKS)))
    of.pushing_until_s = 100.0
    of.hear_of(1 << 5, 1.0)
    assert of.offerable == (1 << CHUNKS) - 1


def test_a_chunk_is_born_once() -> None:
    of = state()
    of.pushing_until_s = 100.0
    of.hear_of(1 << 5, 1.0)
    of.ripen(50.0)
    of.hear_of(1 << 5, 51.0)
    assert not of.young


def test_the_grace_follows_how_late_pushes_come_within_bounds() -> None:
    of = state()
    of.pushing_until_s = 1e9
    for index in range(CHUNKS):
        of.hear_of(1 << index, float(index))
        of.pushed(index, index + 0.5)
    assert 1.0 < of.grace_s <= GRACE_MAX_S
    for _ in range(100):
        of.duplicated(1000)
    assert of.grace_s == GRACE_MAX_S
    quick = state()
    quick.pushing_until_s = 1e9
    for _ in range(40):
        for index in range(CHUNKS):
            quick.pushed(index, 1.0)
    assert GRACE_MIN_S <= quick.grace_s < GRACE_MIN_S * 1.1


# --- sending --------------------------------------------------------------------------------------


def test_a_connection_takes_one_slot_for_all_that_waits_on_it() -> None:
    of = state()
    one = meet(of, "a")
    of.send_chunk(one, 1, 1.0, 0)
    of.send_chunk(one, 2, 1.0, 0)
    assert of.slots.serving == 1 and one.slot is Slot.SERVING
    of.send_ended(one, 1, 1.5, done=True)
    assert of.slots.serving == 1
    of.send_ended(one, 2, 2.0, done=True)
    assert of.slots.serving == 0 and one.slot is Slot.NONE
    assert of.sent_bytes == 2000


def test_the_end_of_a_send_that_is_not_is_ignored() -> None:
    of = state()
    one = meet(of, "a")
    of.send_ended(one, 1, 1.0, done=True)
    assert of.slots.serving == 0 and of.sent_bytes == 0


def test_patience_grows_with_the_chunk_and_is_never_too_short() -> None:
    of = state()
    assert of.patience_s(0) == PATIENCE_FIRST_S
    of.send_pace_s_per_byte = 1e-9
    assert of.patience_s(0) == PATIENCE_MIN_S
    of.send_pace_s_per_byte = 1e-3
    assert of.patience_s(0) == 4.0


def test_a_send_that_takes_too_long_is_detached_and_its_receiver_skipped() -> None:
    of = state(slots=1)
    one = meet(of, "a")
    of.send_pace_s_per_byte = 1e-6
    of.send_chunk(one, 1, 1.0, 0)
    of.skip_full_sockets(1.1)
    assert one.slot is Slot.SERVING
    of.skip_full_sockets(1.3)
    assert one.slot is Slot.DETACHED and of.slots.free == 1
    assert one.skipped_until_s == 1.3 + SKIP_S
    of.send_ended(one, 1, 2.0, done=True)
    assert one.slot is Slot.NONE and of.slots.detached == 0


def test_a_receiver_three_times_slower_than_the_median_is_skipped() -> None:
    of = state()
    for name, seconds in (("a", 0.1), ("b", 0.1), ("c", 0.5)):
        one = meet(of, name)
        for _ in range(RECENT_SENDS):
            one.sent(1000, seconds, pushed=True)
    of.skip_full_sockets(10.0)
    skipped = [n.id for n in of.neighbours.values() if n.skipped_until_s > 10.0]
    assert skipped == ["c"]


def test_of_two_receivers_none_is_slow_by_comparison() -> None:
    """Which of two is the odd one cannot be said; only a full socket can."""
    of = state()
    for name, seconds in (("a", 0.1), ("b", 0.5)):
        one = meet(of, name)
        for _ in range(RECENT_SENDS):
            one.sent(1000, seconds, pushed=True)
    of.skip_full_sockets(10.0)
    assert all(n.skipped_until_s == 0.0 for n in of.neighbours.values())


def test_a_receiver_whose_socket_has_room_again_is_skipped_no_longer() -> None:
    of = state()
    one = meet(of, "a")
    of.send_pace_s_per_byte = 1e-6
    of.send_chunk(one, 1, 1.0, 0)
    of.skip_full_sockets(2.0)
    assert one.skipped_until_s == 2.0 + SKIP_S
    of.send_ended(one, 1, 2.5, done=True)
    assert one.skipped_until_s <= 2.5


def test_time_in_which_this_process_did_not_run_is_nobodys_fault() -> None:
    of = state()
    one = meet(of, "a")
    of.send_chunk(one, 1, 1.0, 0)
    one.requested[2] = one.arriving[3] = 1.0
    of.was_late(7.0)
    assert one.sending[1] == one.requested[2] == one.arriving[3] == 8.0


def test_cancelled_sends_return_what_they_held() -> None:
    of = state()
    one = meet(of, "a")
    of.send_chunk(one, 1, 1.0, 0)
    of.send_chunk(one, 2, 1.0, 0)
    of.cancel_sends(one)
    assert of.slots.serving == 0 and not one.sending
    assert len(of.actions) == 4
