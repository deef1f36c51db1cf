"""When a node announces: events, then the exact actions."""

import random

from strew.announce.announcer import (
    ANSWER_WITHIN_S,
    BACKOFF_MAX_S,
    HOME_AGAIN_S,
    AnnounceAnswered,
    AnnounceFailed,
    Announcer,
    AnnouncerEvent,
    CatalogueForgotten,
    HoldingsChanged,
    Nudge,
    SendAnnounce,
)
from strew.announce.protocol import Announce, Handout
from strew.messages import Tick
from tests.announce.makers import announce, holding

IDLE = announce(1, follows=("app",))
BUSY = announce(1, holding("app", 1), follows=("app",))
A, B = "a:7300", "b:7300"


class Play:
    """An announcer, and a clock that moves when told."""

    def __init__(self, *trackers: str) -> None:
        self.now = 100.0
        self.announcer = Announcer(trackers or (A,), random.Random(3), self.now)

    def do(self, event: AnnouncerEvent) -> list[tuple[str, Announce]]:
        actions = self.announcer.handle(event, self.now)
        sent = []
        for action in actions:
            assert isinstance(action, SendAnnounce)
            sent.append((action.tracker, action.announce))
        return sent

    def start(self) -> None:
        assert len(self.do(HoldingsChanged(IDLE, urgent=True))) == 1

    def answered(self, tracker: str = A, seen: int = 0) -> list[tuple[str, Announce]]:
        handout = Handout(lease_s=90.0, interval_s=30.0, seen=seen)
        return self.do(AnnounceAnswered(tracker, handout))

    def tick_at_deadline(self) -> list[tuple[str, Announce]]:
        deadline = self.announcer.deadline()
        assert deadline is not None
        self.now = max(self.now, deadline)
        return self.do(Tick())


def test_joining_announces_at_once_and_then_at_intervals() -> None:
    play = Play()
    assert play.announcer.deadline() is None
    assert play.do(HoldingsChanged(IDLE)) == [(A, IDLE)]
    assert play.answered() == []
    deadline = play.announcer.deadline()
    assert deadline is not None and 127.0 <= deadline <= 130.0
    assert play.do(Tick()) == []
    assert play.tick_at_deadline() == [(A, IDLE)]


def test_what_is_not_urgent_waits_and_the_newest_state_goes() -> None:
    play = Play()
    play.start()
    play.answered()
    assert play.do(HoldingsChanged(BUSY)) == []
    assert play.tick_at_deadline() == [(A, BUSY)]


def test_urgent_goes_at_once_and_after_the_answer_if_one_is_awaited() -> None:
    play = Play()
    play.start()
    assert play.do(HoldingsChanged(BUSY, urgent=True)) == []
    assert play.answered() == [(A, BUSY)]
    play.answered()
    assert play.do(HoldingsChanged(IDLE, urgent=True)) == [(A, IDLE)]


def test_the_next_announce_carries_what_that_tracker_has_shown() -> None:
    play = Play(A, B)
    play.start()
    play.answered(A, seen=41)
    ((_, sent),) = play.tick_at_deadline()
    assert sent.seen == 41
    ((tracker, sent),) = play.do(AnnounceFailed(A, "refused"))
    assert (tracker, sent.seen) == (B, 0)


def test_other_follows_begin_anew() -> None:
    play = Play()
    play.start()
    play.answered(seen=41)
    ((_, sent),) = play.do(HoldingsChanged(announce(1, follows=("all",)), urgent=True))
    assert sent.seen == 0


def test_a_nudge_announces_at_once_or_spread() -> None:
    play = Play()
    play.start()
    play.answered()
    assert play.do(Nudge()) == [(A, IDLE)]
    play.answered()
    assert play.do(Nudge(spread_s=4.0)) == []
    deadline = play.announcer.deadline()
    assert deadline is not None and play.now < deadline <= play.now + 4.0
    assert play.tick_at_deadline() == [(A, IDLE)]


def test_never_more_often_than_allowed() -> None:
    play = Play()
    sent = 0
    play.start()
    for _ in range(20):
        sent += len(play.answered())
        sent += len(play.do(HoldingsChanged(BUSY, urgent=True)))
    assert sent == 4
    play.answered()
    assert play.announcer.deadline() == play.now + 5.0
    assert play.tick_at_deadline() == [(A, BUSY)]


def test_a_failure_goes_to_the_next_tracker_at_once_then_waits() -> None:
    play = Play(A, B)
    play.start()
    ((tracker, _),) = play.do(AnnounceFailed(A, "refused"))
    assert tracker == B
    assert play.do(AnnounceFailed(B, "refused")) == []
    deadline = play.announcer.deadline()
    assert deadline is not None and 0.5 <= deadline - play.now <= 1.0
    ((tracker, _),) = play.tick_at_deadline()
    assert tracker == A


def test_waits_grow_up_to_a_limit() -> None:
    play = Play()
    play.start()
    waits = []
    for _ in range(12):
        failed_at = play.now
        assert play.do(AnnounceFailed(A, "refused")) == []
        assert len(play.tick_at_deadline()) == 1
        waits.append(play.now - failed_at)
    assert waits[0] <= 1.0
    assert BACKOFF_MAX_S / 2 <= waits[-1] <= BACKOFF_MAX_S


def test_silence_is_a_failure_and_a_late_answer_changes_nothing() -> None:
    play = Play()
    play.start()
    assert play.announcer.deadline() == 100.0 + ANSWER_WITHIN_S
    assert play.tick_at_deadline() == []
    assert "no answer" in play.announcer.snapshot(play.now).last_failure
    assert play.answered(seen=5) == []
    assert play.announcer.snapshot(play.now).failures == 1
    ((_, sent),) = play.tick_at_deadline()
    assert sent.seen == 5


def test_changes_during_an_outage_wait_and_a_nudge_does_not() -> None:
    play = Play()
    play.start()
    play.do(AnnounceFailed(A, "refused"))
    assert play.do(HoldingsChanged(BUSY, urgent=True)) == []
    assert play.do(Nudge()) == [(A, BUSY)]


def test_stale_means_the_tracker_has_forgotten_us() -> None:
    play = Play()
    play.start()
    play.answered()
    play.now += 89.0
    assert not play.announcer.snapshot(play.now).stale
    play.now += 2.0
    assert play.announcer.snapshot(play.now).stale
    play.do(Tick())
    play.answered()
    assert not play.announcer.snapshot(play.now).stale


def test_home_is_tried_again() -> None:
    play = Play(A, B)
    play.start()
    play.do(AnnounceFailed(A, "refused"))
    play.answered(B)
    seen = set()
    until = play.now + HOME_AGAIN_S + 31.0
    while play.now < until:
        for tracker, _ in play.tick_at_deadline():
            seen.add(tracker)
            play.answered(tracker)
    assert seen == {A, B}
    assert play.announcer.snapshot(play.now).current == A


def test_leaving_is_told_once_and_is_the_end() -> None:
    play = Play()
    play.start()
    play.answered()
    bye = announce(1, leaving=True)
    assert play.do(HoldingsChanged(bye)) == [(A, bye)]
    assert play.announcer.deadline() is None
    assert play.do(HoldingsChanged(IDLE, urgent=True)) == []
    assert play.do(Nudge()) == []


def test_a_tracker_that_never_answered_is_not_told_of_leaving() -> None:
    play = Play()
    play.start()
    assert play.do(HoldingsChanged(announce(1, leaving=True))) == []


def test_without_trackers_there_is_silence() -> None:
    announcer = Announcer((), random.Random(3), 0.0)
    assert announcer.handle(HoldingsChanged(IDLE, urgent=True), 0.0) == []
    assert announcer.deadline() is None
    assert announcer.snapshot(0.0).current == ""


def test_what_was_told_and_not_believed_is_asked_for_again() -> None:
    play = Play()
    play.start()
    play.answered(seen=50)
    ((_, sent),) = play.do(HoldingsChanged(BUSY, urgent=True))
    assert sent.seen == 50
    play.answered(seen=60)
    ((_, sent),) = play.do(CatalogueForgotten())
    assert sent.seen == 0
