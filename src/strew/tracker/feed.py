"""The tracker's event feed: server-sent events with ids, resumable, each subscriber bounded.

Wire form: https://html.spec.whatwg.org/multipage/server-sent-events.html. Ids are unix
milliseconds made to grow, so they stay ordered over restarts. The first event of a stream is
always `open`; its data say whether the stream goes on right after the id the subscriber gave.

Names and summaries share one ring of past events. What is told of a board fills a ring in moments,
so that each board has one of its own.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

RING_EVENTS_MAX = 1024
"""Events kept for subscribers that return: some minutes of a busy fleet, about 500 kB."""

BOARD_EVENTS_MAX = 64
"""The same of one board, at four events a second: a quarter of a minute, some 300 kB. Whoever was
away for longer asks for the whole board, which costs as much as some seconds of its events."""

BOARDS_MAX = 32
"""Boards with events kept, those told of last."""

QUEUE_EVENTS_MAX = 256
"""Events waiting for one subscriber; one that is slower is disconnected and may resume."""

SUBSCRIBERS_MAX = 20_000
"""Open streams: one per node and some onlookers; each costs a descriptor and about 20 kB."""

HEARTBEAT_S: Final = 15.0
"""A comment is sent after so much silence, so that both ends notice a dead connection."""

BOARD: Final = "board"

KINDS: Final = frozenset(("publication", "swarm", BOARD))
"""publication: a name was given, at once. swarm: a SwarmSummary, board: a BoardChange, both at most
four a second for each artifact, and while somebody listens."""


class Event(msgspec.Struct, frozen=True):
    """One event in its wire form. `artifact` is empty for what concerns everybody."""

    id: int
    kind: str
    frame: bytes
    artifact: str = ""


class Ring:
    """Past events, the oldest of which are forgotten."""

    def __init__(self, events_max: int, floor: int) -> None:
        self._events: deque[Event] = deque(maxlen=events_max)
        self.floor = floor
        """Nothing up to here can be told again."""

    def add(self, event: Event) -> None:
        """Keep one, in place of the oldest."""
        if len(self._events) == self._events.maxlen:
            self.floor = self._events[0].id
        self._events.append(event)

    def after(self, event_id: int) -> Iterator[Event]:
        """Those that came later."""
        return (event for event in self._events if event.id > event_id)


class Subscriber:
    """One stream's queue. Made by Feed.subscribed."""

    def __init__(
        self, kinds: frozenset[str], artifact: str, backlog: list[Event], opening: bytes
    ) -> None:
        self.kinds = kinds
        self.artifact = artifact
        self._opening = opening
        self._backlog = backlog
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_EVENTS_MAX)
        self._ended = False

    def wants(self, kind: str, artifact: str) -> bool:
        """Whether it asked for events of this kind about this artifact."""
        return kind in self.kinds and _is_about(artifact, self.artifact)

    def put(self, event: Event) -> None:
        """Queue an event if it was asked for; end the stream if it does not keep up."""
        if self._ended or not self.wants(event.kind, event.artifact):
            return
        try:
            self._queue.put_nowait(event.frame)
        except asyncio.QueueFull:
            self.end()

    def end(self) -> None:
        """End the stream after what is being sent now; what is queued is dropped."""
        self._ended = True
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def frames(self) -> AsyncIterator[bytes]:
        """Byte pieces to send, heartbeats included, until the stream is ended."""
        yield self._opening
        for event in self._backlog:
            yield event.frame
        self._backlog.clear()
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    frame = await self._queue.get()
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if frame is None:
                return
            yield frame


class Feed:
    """Hands events to all subscribers; belongs to one event loop."""

    def __init__(self) -> None:
        self._ring = Ring(RING_EVENTS_MAX, 0)
        self._boards: dict[str, Ring] = {}
        self._boards_floor = 0
        """That of boards without a ring."""
        self._first_id = 0
        """Ids below are of another process."""
        self._last_id = 0
        self._subscribers: set[Subscriber] = set()
        self._by_kind: dict[str, set[Subscriber]] = {kind: set() for kind in KINDS}
        """All nodes of a fleet listen to names; few look at boards, which are told of often."""
        self._closed = False

    def __len__(self) -> int:
        return len(self._subscribers)

    @property
    def full(self) -> bool:
        """Whether no more subscribers are taken."""
        return self._closed or len(self._subscribers) >= SUBSCRIBERS_MAX

    def wanted(self, kind: str, artifact: str = "") -> bool:
        """Whether anyone listens to events of `kind`, about this artifact or any."""
        return any(subscriber.wants(kind, artifact) for subscriber in self._by_kind[kind])

    def publish(self, kind: str, data: bytes, now: float, artifact: str = "") -> int:
        """Send an event to everyone who asked for its kind; returns its id. `data` is one line.
        Of `artifact` it is told to those who asked for that one or for all."""
        assert kind in KINDS
        assert b"\n" not in data
        self._next_id(now)
        frame = b"id: %d\nevent: %s\ndata: %s\n\n" % (self._last_id, kind.encode(), data)
        event = Event(self._last_id, kind, frame, artifact)
        (self._ring_of(artifact) if kind == BOARD else self._ring).add(event)
        for subscriber in list(self._by_kind[kind]):
            subscriber.put(event)
        return self._last_id

    def mark(self, now: float) -> int:
        """The id after which all that is to come is told."""
        if not self._last_id:
            self._next_id(now)
        return self._last_id

    def renew(self, artifact: str, now: float) -> int:
        """As `mark`, and what was told of this board before cannot be gone on from: its streams
        end, and whoever comes back has to look anew."""
        for subscriber in self._by_kind[BOARD]:
            if subscriber.wants(BOARD, artifact):
                subscriber.end()
        before = self._last_id
        self._next_id(now)
        self._boards.pop(artifact, None)
        self._ring_of(artifact).floor = before
        return self._last_id

    @contextmanager
    def subscribed(
        self, kinds: frozenset[str], after_id: int | None, artifact: str = ""
    ) -> Iterator[Subscriber]:
        """A subscriber for the time of the block, of one artifact's boards and summaries or of all.
        With `after_id` it first gets what came after that event, if that is still known."""
        rings = list(self._rings_for(kinds, artifact))
        resumed = after_id is not None and self._goes_back_to(after_id, rings)
        backlog: list[Event] = []
        if resumed and after_id is not None:
            backlog = [
                event
                for ring in rings
                for event in ring.after(after_id)
                if event.kind in kinds and _is_about(event.artifact, artifact)
            ]
            backlog.sort(key=lambda event: event.id)
        opening = b'retry: 1000\nid: %d\nevent: open\ndata: {"resumed":%s}\n\n' % (
            after_id if resumed and after_id is not None else self._last_id,
            b"true" if resumed else b"false",
        )
        subscriber = Subscriber(kinds, artifact, backlog, opening)
        self._subscribers.add(subscriber)
        for kind in kinds:
            self._by_kind[kind].add(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)
            for kind in kinds:
                self._by_kind[kind].discard(subscriber)

    def close(self) -> None:
        """End all streams and take no more."""
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.end()

    def _next_id(self, now: float) -> None:
        self._last_id = max(self._last_id + 1, int(now * 1000))
        self._first_id = self._first_id or self._last_id

    def _ring_of(self, artifact: str) -> Ring:
        ring = self._boards.pop(artifact, None)
        if ring is None:
            if len(self._boards) >= BOARDS_MAX:
                del self._boards[next(iter(self._boards))]
                self._boards_floor = self._last_id
            ring = Ring(BOARD_EVENTS_MAX, self._boards_floor)
        self._boards[artifact] = ring  # the one told of last is the last to go
        return ring

    def _rings_for(self, kinds: frozenset[str], artifact: str) -> Iterator[Ring]:
        if kinds != {BOARD}:
            yield self._ring
        if BOARD in kinds:
            yield Ring(1, self._boards_floor)
            for of, ring in self._boards.items():
                if _is_about(of, artifact):
                    yield ring

    def _goes_back_to(self, event_id: int, rings: Iterable[Ring]) -> bool:
        """Whether everything after `event_id` is still there."""
        if event_id == self._last_id:
            return True
        is_ours = self._first_id <= event_id < self._last_id
        return is_ours and all(ring.floor < event_id for ring in rings)


def _is_about(artifact: str, wanted: str) -> bool:
    return not wanted or not artifact or artifact == wanted
