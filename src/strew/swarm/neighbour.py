"""A connected peer inside a swarm: what it has, what is in flight, its measured rate, its trust."""

from __future__ import annotations

from typing import Any

from strew.content.bitfield import Bitfield
from strew.messages import PeerId
from strew.swarm.pace import PACE_MEMORY
from strew.swarm.slots import Slot

ANSWER_MEMORY = 0.25
"""Weight of the newest answer: a neighbour that became slow to answer is noticed within a few."""

RECENT_SENDS = 6
"""A receiver is slow when it took most of so many chunks slowly: chance delays some of them, a thin
link nearly all (the first may be the kernel's, which takes it at once)."""

SKIP_FIRST_S, SKIPS_MAX = 0.5, 4
"""A receiver whose socket stays full is left to layer 2 for this long the first time, when it may
be an accident, and then so many times twice as long: 8 s at most."""

BAD_CHUNKS_MAX = 2
"""A sender is dropped at its second chunk whose digest fails (SECURITY.md: 2 per ban period)."""

REFUSALS_MAX = 16
"""Refusals in a row, with no chunk between, after which what a neighbour says it has counts for
nothing: an honest one refuses when others were quicker, and serves now and then."""

STALLS_MAX = 3
"""Chunks in a row that did not come in time before a neighbour is replaced."""


class Neighbour:
    """State kept for one neighbour of one swarm; owned and changed by the swarm alone.

    `sending` and `arriving` map a chunk to when it began, `requested` to when it was asked for;
    a chunk stands in at most one of `requested` and `arriving`. `number` grows from one that joined
    to the next. A node of a large fleet holds some forty of these and a simulator some forty for
    each machine: what most of them never use takes no room.
    """

    __slots__ = (
        "answer_s",
        "arriving",
        "bad_chunks",
        "duplicates",
        "fit",
        "full",
        "have",
        "heard",
        "hollow",
        "id",
        "joined_s",
        "near",
        "number",
        "offered",
        "origin",
        "parked_s",
        "quiet_until_s",
        "received_bytes",
        "received_pace",
        "recheck_due_s",
        "refusals",
        "renewed",
        "requested",
        "run",
        "sending",
        "sent_bytes",
        "sent_pace",
        "sent_recent",
        "skipped_until_s",
        "skips",
        "slot",
        "stalls",
        "stored_s",
        "usual_pace",
        "zone",
    )

    def __init__(
        self,
        peer: PeerId,
        have: Bitfield,
        zone: str,
        near: bool,
        origin: bool,
        fit: bool,
        now: float,
    ) -> None:
        self.id = peer
        self.zone = zone
        self.near = near
        self.have = have
        self.origin = origin
        self.fit = fit
        self.joined_s = now
        self.number = 0
        # what we send
        self.sending: dict[int, float] = {}
        self.slot = Slot.NONE
        self.offered = False
        self.run = 0
        self.skipped_until_s = 0.0
        self.skips = 0
        self.full = False
        self.heard = 0
        """How far it has heard of what was stored here (strew.swarm.haves)."""
        self.quiet_until_s = 0.0
        self.sent_pace = 0.0
        self.sent_recent: tuple[float, ...] = ()
        self.usual_pace = 0.0
        """Seconds per byte of its last pushes, their middle or their mean, whichever is less: one
        that was delayed spoils the mean, a deep queue that takes every other one at once spoils the
        middle. 0 before there were enough."""
        # what it sends
        self.parked_s: float | None = None
        self.requested: dict[int, float] = {}
        self.arriving: dict[int, float] = {}
        self.renewed = False
        self.received_pace = 0.0
        self.answer_s = 0.0
        """How long it lets this node wait for a chunk, usually: from the request, or from the end
        of its chunk before, until the next begins."""
        self.stored_s = 0.0
        """When its last chunk was verified and kept."""
        # trust
        self.bad_chunks = 0
        self.stalls = 0
        self.refusals = 0
        self.hollow = False
        """What it says it has is not to be had of it: nobody waits for it any more."""
        self.duplicates = 0
        self.recheck_due_s = 0.0
        self.received_bytes = 0
        self.sent_bytes = 0

    @property
    def sent_rate(self) -> float:
        """Bytes/s at which it took its last chunks; 0 before the first."""
        return _rate(self.sent_pace)

    @property
    def received_rate(self) -> float:
        """Bytes/s at which its last chunks came; 0 before the first."""
        return _rate(self.received_pace)

    def snapshot(self) -> dict[str, Any]:
        """Plain data for status, dashboard and checkers."""
        return {
            "id": self.id,
            "zone": self.zone,
            "have_chunks": self.have.count,
            "origin": self.origin,
            "sending": len(self.sending),
            "requested": len(self.requested),
            "arriving": len(self.arriving),
            "received_bytes": self.received_bytes,
            "sent_bytes": self.sent_bytes,
            "received_bytes_per_s": self.received_rate,
            "sent_bytes_per_s": self.sent_rate,
        }

    def skip(self, now: float) -> None:
        """Leave it to layer 2 for a while, for longer each time in a row."""
        calm = now > self.skipped_until_s + SKIP_FIRST_S * 2**self.skips
        self.skips = 0 if calm else min(self.skips + 1, SKIPS_MAX)
        self.skipped_until_s = now + SKIP_FIRST_S * 2**self.skips

    def sent(self, length_bytes: int, seconds: float, *, pushed: bool) -> None:
        """Count a chunk that left for this neighbour. How quickly one is sent depends on how many
        go out beside it: pushes are compared with pushes only."""
        self.sent_bytes += length_bytes
        self.sent_pace = _blend(self.sent_pace, length_bytes, seconds)
        if not pushed:
            return
        self.sent_recent = (*self.sent_recent[1 - RECENT_SENDS :], seconds / length_bytes)
        if len(self.sent_recent) == RECENT_SENDS:
            middle = sorted(self.sent_recent)[RECENT_SENDS // 2]
            self.usual_pace = min(middle, sum(self.sent_recent) / RECENT_SENDS)

    def answered(self, asked_s: float, now: float) -> None:
        """A chunk that it was asked for begins to come."""
        waited_s = max(0.0, now - max(asked_s, self.stored_s))
        self.answer_s += ANSWER_MEMORY * (waited_s - self.answer_s)

    def received(self, length_bytes: int, seconds: float) -> None:
        """Count a verified chunk from this neighbour; a stall before it is forgiven."""
        self.received_bytes += length_bytes
        self.received_pace = _blend(self.received_pace, length_bytes, seconds)
        self.stalls = self.refusals = 0


def _blend(pace: float, length_bytes: int, seconds: float) -> float:
    sample = max(seconds, 1e-6) / length_bytes
    return sample if pace == 0.0 else pace + PACE_MEMORY * (sample - pace)


def _rate(pace: float) -> float:
    return 1.0 / pace if pace > 0.0 else 0.0


def by_joining(neighbour: Neighbour) -> int:
    """Sorts by who joined first: what goes out does not hang on the order of what came in."""
    return neighbour.number
