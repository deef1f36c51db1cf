"""The facts both layers share: availability, nearness, age, and the pace of sends."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.content.bitfield import Bitfield
from strew.messages import PeerId, Role
from strew.swarm.neighbour import RECENT_SENDS, SKIP_FIRST_S, Neighbour
from strew.swarm.pace import TIMED_MIN
from strew.swarm.slots import Slot, UploadSlots
from strew.swarm.state import (
    MEASURE_ROUNDS,
    MEASURE_S,
    PATIENCE_FIRST_S,
    PATIENCE_MIN_S,
    PUSHING_ARRIVALS,
    PUSHING_MAX_S,
    PUSHING_MIN_S,
    SLOW_RATIO,
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
            of.neighbour_has(one, 1 << index)
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


# --- what comes by push ---------------------------------------------------------------------------


def test_what_stands_behind_a_pushed_chunk_in_the_file_is_young_while_the_push_lasts() -> None:
    of = state(have=(5,))
    of.pushed(0, 1.0)
    assert of.young(1.0) >> 5 & 1 and not of.offerable(1.0)
    over_s = 1.0 + PUSHING_MAX_S
    assert not of.young(over_s) and of.offerable(over_s) == 1 << 5


def test_without_a_push_nothing_is_young() -> None:
    of = state(have=(5,))
    assert not of.young(1.0) and of.offerable(1.0) == 1 << 5


def test_who_is_complete_offers_everything_but_what_is_withheld() -> None:
    of = state(have=tuple(range(CHUNKS)))
    of.pushed(0, 1.0)
    assert of.offerable(1.0) == (1 << CHUNKS) - 1
    of.withheld = 1 << 3
    assert of.offerable(1.0) == (1 << CHUNKS) - 1 - (1 << 3)


def test_while_an_origin_offers_or_has_just_served_nothing_is_young() -> None:
    """It gives nothing by its plan then."""
    of = state()
    of.pushed(0, 1.0)
    of.origin_offers = True
    assert not of.young(1.0)
    of.origin_offers = False
    assert of.young(1.0)
    of.served_until_s = 1.05
    assert not of.young(1.0) and of.young(1.05)


def test_a_push_lasts_as_long_as_its_usual_gaps_within_bounds() -> None:
    of = state()
    for turn in range(100):
        of.pushed(0, 1.0 + 0.001 * turn)
    assert lasts_s(of, 1.099) == pytest.approx(PUSHING_MIN_S)
    for turn in range(100):
        of.pushed(0, 2.0 + 0.5 * turn)
    assert lasts_s(of, 51.5) == pytest.approx(PUSHING_MAX_S)


def test_where_a_chunk_takes_seconds_to_arrive_a_push_may_pause_for_some_of_them() -> None:
    of = state()
    for turn in range(100):
        of.arrivals.took(1000, 5.0)
        of.pushed(0, 6.0 + 5.0 * turn)
    assert lasts_s(of, 501.0) == pytest.approx(PUSHING_ARRIVALS * 5.0)


def lasts_s(of: SwarmState, since_s: float) -> float:
    """How long pushing is taken to go on after this, to the millisecond."""
    return next(ms / 1000 for ms in range(1_000_000) if not of.pushing(since_s + ms / 1000))


def test_the_middle_neighbour_says_how_far_pushing_is() -> None:
    of = SwarmState(
        1, PeerId("m"), "", [1000] * 400, Bitfield(400), UploadSlots(3), random.Random(1), False
    )
    of.pushed(0, 1.0)
    for name, count in (("a", 10), ("b", 300), ("c", 400)):
        field = Bitfield(400)
        field.update(range(count))
        of.joined(Neighbour(PeerId(name), field, "", True, False, True, 0.0))
    assert of.young(1.0) & 1
    of.look_at_others(1.0)
    assert not of.young(1.0) & 1 and of.young(1.0) >> 300 & 1


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
    quick, slow = state(), state()
    assert quick.patience_s(0) == PATIENCE_FIRST_S
    used_to(quick, meet(quick, "a"), 1e-6)
    assert quick.patience_s(0) == PATIENCE_MIN_S
    used_to(slow, meet(slow, "a"), 1.0)
    assert slow.patience_s(0) == pytest.approx(4.0)


def test_before_sends_were_timed_those_that_share_the_uplink_have_patience_in_proportion() -> None:
    of = state()
    for name in "abc":
        of.send_chunk(meet(of, name), 1, 1.0, Role.COPIED)
    assert of.patience_s(0) == 3 * PATIENCE_FIRST_S
    of.send_ended(of.neighbours[PeerId("a")], 1, 1.001, done=True)
    assert of.patience_s(0) == 2 * PATIENCE_FIRST_S, "the first may have had the link for itself"


def used_to(of: SwarmState, one: Neighbour, seconds: float) -> None:
    """So long took every send until now."""
    for turn in range(TIMED_MIN):
        of.send_chunk(one, turn, 0.0, Role.SERVED)
        of.send_ended(one, turn, seconds, done=True)


def test_a_send_that_takes_too_long_is_detached_and_its_receiver_skipped() -> None:
    of = state(slots=1)
    one = meet(of, "a")
    used_to(of, one, 0.001)
    of.send_chunk(one, 1, 1.0, 0)
    of.skip_full_sockets(1.1)
    assert one.slot is Slot.SERVING
    of.skip_full_sockets(1.3)
    assert one.slot is Slot.DETACHED and of.slots.free == 1
    assert one.skipped_until_s == 1.3 + SKIP_FIRST_S
    of.send_ended(one, 1, 2.0, done=True)
    assert one.slot is Slot.NONE and of.slots.detached == 0


def pushes(of: SwarmState, paces: dict[str, float], rounds: int, now: float = 1.0) -> float:
    """Push a chunk of 1000 bytes to each of them at once, so many times; when all has left."""
    for turn in range(rounds):
        for name in paces:
            of.send_chunk(of.neighbours[PeerId(name)], turn, now, Role.COPIED)
        ends = sorted((now + seconds, name) for name, seconds in paces.items())
        for at_s, name in ends:
            of.send_ended(of.neighbours[PeerId(name)], turn, at_s, done=True)
        now = ends[-1][0]
    return now


def test_a_receiver_far_slower_than_its_share_of_the_uplink_is_skipped() -> None:
    of = state(have=tuple(range(CHUNKS)))
    for name in "abcd":
        meet(of, name)
    now = 1.0
    for _ in range(2):  # before the first there was nothing to send
        now = pushes(of, dict.fromkeys("abc", 0.1), 3 * MEASURE_ROUNDS, now)
        of.skip_full_sockets(now)
    for name, seconds in (("c", 0.08 * SLOW_RATIO), ("d", 0.12 * SLOW_RATIO)):
        for _ in range(RECENT_SENDS):
            of.neighbours[PeerId(name)].sent(1000, seconds, pushed=True)
    of.skip_full_sockets(now)
    assert [n.id for n in of.neighbours.values() if n.skipped_until_s > now] == ["d"]


def test_equal_receivers_are_never_slow_however_thin_the_uplink() -> None:
    of = state(have=tuple(range(CHUNKS)))
    paces = dict.fromkeys("abcdefgh", 3.0)
    for name in paces:
        meet(of, name)
    now = pushes(of, paces, 2 * RECENT_SENDS)
    of.skip_full_sockets(now)
    assert all(n.skipped_until_s == 0.0 for n in of.neighbours.values())


def test_what_was_asked_for_says_nothing_of_how_a_receiver_takes_pushes() -> None:
    """Few are served at once, each with more of the uplink than it would be pushed with."""
    of = state(have=tuple(range(CHUNKS)))
    one = meet(of, "a")
    for role, usual_pace in ((Role.SERVED, 0.0), (Role.COPIED, 0.001)):
        for turn in range(RECENT_SENDS):
            of.send_chunk(one, turn, 1.0, role)
            of.send_ended(one, turn, 2.0, done=True)
        assert one.usual_pace == pytest.approx(usual_pace)


def test_a_slow_receiver_that_is_being_sent_to_is_detached_at_once() -> None:
    """Its patience need not end first: it has shown often enough how it takes chunks."""
    of = state(have=tuple(range(CHUNKS)))
    for name in "abcd":
        meet(of, name)
    now = 1.0
    for _ in range(2):
        now = pushes(of, dict.fromkeys("abc", 0.1), 3 * MEASURE_ROUNDS, now)
        of.skip_full_sockets(now)
    slow, quick = of.neighbours[PeerId("d")], of.neighbours[PeerId("a")]
    for _ in range(RECENT_SENDS):
        slow.sent(1000, 0.12 * SLOW_RATIO, pushed=True)
    of.send_chunk(slow, 39, now, Role.COPIED)
    of.send_chunk(quick, 39, now, Role.COPIED)
    of.skip_full_sockets(now)
    assert (slow.slot, quick.slot) == (Slot.DETACHED, Slot.PUSHING)
    of.send_ended(slow, 39, now + 0.1, done=True)
    assert slow.skipped_until_s == now + SKIP_FIRST_S, "it is no quicker than before"


def test_an_uplink_that_became_thinner_is_not_held_against_the_receivers_for_ever() -> None:
    of = state(have=tuple(range(CHUNKS)))
    for name in "abc":
        meet(of, name)
    now, skipped = 1.0, []
    for seconds, periods in ((0.1, 3), (1.0, 80)):
        for _ in range(periods):
            now = pushes(of, dict.fromkeys("abc", seconds), MEASURE_ROUNDS, now)
            of.skip_full_sockets(now)
            skipped.append(any(n.skipped_until_s > now for n in of.neighbours.values()))
    assert not any(skipped[:3]) and any(skipped) and not any(skipped[-10:])


def test_a_thin_uplink_sends_far_less_than_comes() -> None:
    of = state(have=tuple(range(CHUNKS)))
    meet(of, "a")
    now = pushes(of, {"a": MEASURE_S}, 2 * MEASURE_ROUNDS)
    of.skip_full_sockets(now)
    assert not of.thin_uplink
    of.received_bytes = 1000 * 100
    now = pushes(of, {"a": MEASURE_S}, 2 * MEASURE_ROUNDS, now)
    of.skip_full_sockets(now)
    assert of.thin_uplink


def test_the_time_before_the_first_send_says_nothing_of_the_uplink() -> None:
    of = state(have=tuple(range(CHUNKS)))
    meet(of, "a")
    of.received_bytes = 1000 * 100
    of.skip_full_sockets(10.0)
    now = pushes(of, {"a": MEASURE_S / MEASURE_ROUNDS}, 2 * MEASURE_ROUNDS, 10.0)
    of.received_bytes += 1000 * 2 * MEASURE_ROUNDS
    of.skip_full_sockets(now)
    assert not of.thin_uplink, "it sends as fast as it receives, since it began"


def test_a_receiver_whose_socket_has_room_again_is_skipped_no_longer() -> None:
    of = state()
    one = meet(of, "a")
    used_to(of, one, 0.001)
    of.send_chunk(one, 1, 1.0, 0)
    of.skip_full_sockets(2.0)
    assert one.skipped_until_s == 2.0 + SKIP_FIRST_S
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
