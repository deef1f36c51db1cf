"""A node's side of the announce: when to send one, to which tracker, and what silence means.

Theory of operation. The node tells its state with `HoldingsChanged`; the announcer keeps the
newest and sends it when something urgent changed (joined, wants more, done), when the tracker's
interval is over, or when the catalogue was heard to have moved (`Nudge`). One announce is in
flight at a time. A failure goes to the next tracker of the list at once, and after all of them
failed, waits: doubled each round, with jitter, so that a thousand nodes do not return together.
The first tracker is home: while another serves, home is tried again now and then.

Since each announce carries the whole state, the first one that is answered after an outage
repairs whatever the tracker forgot.
"""

import random
from dataclasses import dataclass

import msgspec

from strew.announce.allowance import Allowance, full_allowance
from strew.announce.protocol import Announce, Handout
from strew.messages import Action, Event, Tick

ANSWER_WITHIN_S = 10.0
"""An announce without an answer for so long has failed. Lower: a busy tracker is taken for dead
and gets more load; higher: a dead one is noticed late."""

BACKOFF_FIRST_S = 1.0
"""Wait after the first round in which no tracker answered."""

BACKOFF_MAX_S = 30.0
"""Longest wait between rounds: a tracker that returns is found within so long."""

HOME_AGAIN_S = 60.0
"""How often the first tracker is tried again while another serves."""

JITTER_RATIO = 0.1
"""Intervals are shortened by up to this, so that nodes started together spread out. Never
lengthened: the lease counts in whole intervals."""

FIRST_INTERVAL_S = 10.0
"""Interval until a tracker has named one."""

FIRST_LEASE_S = 30.0
"""Without an answer for so long after the start, the source counts as stale."""

SPREAD_MAX_S = 10.0
"""Longest delay a nudge may ask for; it comes from outside."""


class HoldingsChanged(Event, frozen=True):
    """The node's state is now `announce` (its `seen` is ignored: the announcer keeps it for each
    tracker). `urgent` asks for an announce as soon as the allowance has one. With `leaving` set it
    is sent at once, allowance or not, and is the last."""

    announce: Announce
    urgent: bool = False


class AnnounceAnswered(Event, frozen=True):
    """A tracker answered."""

    tracker: str
    handout: Handout


class AnnounceFailed(Event, frozen=True):
    """An announce was refused, or its connection failed."""

    tracker: str
    reason: str


class Nudge(Event, frozen=True):
    """The tracker said that something happened which this node may follow, or it can be reached
    again. Announce at once, or at a random moment within `spread_s` if the fleet is large."""

    spread_s: float = 0.0


class CatalogueForgotten(Event, frozen=True):
    """What this node was told of publications counts no more: have all of them told again."""


class SendAnnounce(Action, frozen=True):
    """Announce to this tracker; answered by AnnounceAnswered or AnnounceFailed."""

    tracker: str
    announce: Announce


AnnouncerEvent = (
    HoldingsChanged | AnnounceAnswered | AnnounceFailed | Nudge | CatalogueForgotten | Tick
)


@dataclass(frozen=True, slots=True)
class AnnouncerSnapshot:
    """For dashboards and `strew doctor`. `silent_s` is the time since the last answer, or since
    the start; `stale` says that it exceeds the lease: the tracker has forgotten this node."""

    trackers: tuple[str, ...]
    current: str
    stale: bool
    silent_s: float
    failures: int
    last_failure: str
    in_flight: bool
    next_s: float | None


class Announcer:
    """The core; see the module's theory of operation. Without trackers it stays silent."""

    def __init__(
        self, trackers: tuple[str, ...], dice: random.Random, now: float, *, limited: bool = True
    ) -> None:
        """`limited` is False only for the node that lives in the tracker's own process."""
        self._limited = limited
        self._trackers = trackers
        self._dice = dice
        self._announce: Announce | None = None
        self._seen: dict[str, int] = {}
        self._answered_by: set[str] = set()
        self._current = 0
        self._allowance: Allowance = full_allowance(now)
        self._due_s: float | None = None
        """When the next announce should go out, were there allowance for it."""
        self._answer_by_s: float | None = None
        """Set while an announce is in flight."""
        self._answered_s = now
        self._lease_s = FIRST_LEASE_S
        self._interval_s = FIRST_INTERVAL_S
        self._failures = 0
        """Failures since the last answer."""
        self._last_failure = ""
        self._home_after_s = now
        self._left = False

    def handle(self, event: AnnouncerEvent, now: float) -> list[Action]:
        """Take an event; returns at most one SendAnnounce, or one for leaving."""
        match event:
            case HoldingsChanged():
                if self._left:
                    return []
                if event.announce.leaving:
                    return self._leave(event.announce)
                self._take_state(event.announce, now, urgent=event.urgent)
            case AnnounceAnswered():
                self._answered(event, now)
            case AnnounceFailed():
                if self._answer_by_s is not None and event.tracker == self._tracker:
                    self._failed(event.reason, now)
            case Nudge():
                spread_s = min(max(0.0, event.spread_s), SPREAD_MAX_S)
                self._wish(now + self._dice.uniform(0.0, spread_s))
            case CatalogueForgotten():
                self._seen.clear()
                self._wish(now)
            case Tick():
                if self._answer_by_s is not None and now >= self._answer_by_s:
                    self._failed(f"no answer within {ANSWER_WITHIN_S:.0f} s", now)
        return self._send_if_due(now)

    def deadline(self) -> float | None:
        """When a Tick is needed; None if only an event can lead to an announce."""
        if self._left or not self._trackers or self._announce is None:
            return None
        if self._answer_by_s is not None:
            return self._answer_by_s
        if self._due_s is None:
            return None
        if not self._limited:
            return self._due_s
        earned_s = self._allowance.at_s + self._allowance.ready_s(self._allowance.at_s)
        return max(self._due_s, earned_s)

    def snapshot(self, now: float) -> AnnouncerSnapshot:
        """Plain data about the source."""
        silent_s = max(0.0, now - self._answered_s)
        return AnnouncerSnapshot(
            trackers=self._trackers,
            current=self._tracker if self._trackers else "",
            stale=silent_s > self._lease_s,
            silent_s=silent_s,
            failures=self._failures,
            last_failure=self._last_failure,
            in_flight=self._answer_by_s is not None,
            next_s=self.deadline(),
        )

    @property
    def _tracker(self) -> str:
        return self._trackers[self._current]

    def _take_state(self, announce: Announce, now: float, *, urgent: bool) -> None:
        earlier, self._announce = self._announce, announce
        if earlier is None:
            self._wish(now)
            return
        if earlier.follows != announce.follows:
            self._seen.clear()  # what was passed over before may now be followed
        # During an outage the backoff decides: changes must not turn it into a storm.
        if urgent and self._failures == 0:
            self._wish(now)

    def _wish(self, at_s: float) -> None:
        """Have the next announce at `at_s` or before; after the answer if one is in flight."""
        self._due_s = at_s if self._due_s is None else min(self._due_s, at_s)

    def _send_if_due(self, now: float) -> list[Action]:
        if self._left or self._announce is None or not self._trackers:
            return []
        if self._answer_by_s is not None or self._due_s is None or now < self._due_s:
            return []
        left = self._allowance.spent(now)
        if left is not None:
            self._allowance = left
        elif self._limited:
            return []
        if self._current != 0 and self._failures == 0 and now >= self._home_after_s:
            self._current = 0
            self._home_after_s = now + HOME_AGAIN_S
        self._due_s = None
        self._answer_by_s = now + ANSWER_WITHIN_S
        seen = self._seen.get(self._tracker, 0)
        return [SendAnnounce(self._tracker, msgspec.structs.replace(self._announce, seen=seen))]

    def _leave(self, announce: Announce) -> list[Action]:
        self._left = True
        self._answer_by_s = None
        if not self._trackers or self._tracker not in self._answered_by:
            return []  # there is no lease to end
        return [SendAnnounce(self._tracker, announce)]

    def _answered(self, event: AnnounceAnswered, now: float) -> None:
        if event.tracker in self._trackers:
            self._seen[event.tracker] = event.handout.seen
            self._answered_by.add(event.tracker)
        if event.handout.publications:
            self._allowance = full_allowance(now)  # the tracker does the same
        if self._left or self._answer_by_s is None or event.tracker != self._tracker:
            return  # late: its peers are welcome, but another announce was sent meanwhile
        self._answer_by_s = None
        self._answered_s = now
        self._failures = 0
        self._lease_s = event.handout.lease_s
        self._interval_s = max(1.0, event.handout.interval_s)
        jitter = 1.0 - self._dice.uniform(0.0, JITTER_RATIO)
        self._wish(now + self._interval_s * jitter)

    def _failed(self, reason: str, now: float) -> None:
        """Go to the next tracker; after a round of failures wait first."""
        self._answer_by_s = None
        self._failures += 1
        self._last_failure = reason
        if self._current == 0:
            self._home_after_s = now + HOME_AGAIN_S
        self._current = (self._current + 1) % len(self._trackers)
        rounds, rest = divmod(self._failures, len(self._trackers))
        wait_s = 0.0
        if rest == 0:
            wait_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(rounds - 1, 16))
            wait_s *= self._dice.uniform(0.5, 1.0)
        self._due_s = now + wait_s
