"""The tracker's event feed: server-sent events with ids, resumable, each subscriber bounded.

Wire form: https://html.spec.whatwg.org/multipage/server-sent-events.html. Ids are unix
milliseconds made to grow, so they stay ordered over restarts. The first event of a stream is
always `open`; its data say whether the stream goes on right after the id the subscriber gave.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

RING_EVENTS_MAX = 1024
"""Events kept for subscribers that return: some minutes of a busy fleet, about 500 kB."""

QUEUE_EVENTS_MAX = 256
"""Events waiting for one subscriber; one that is slower is disconnected and may resume."""

SUBSCRIBERS_MAX = 20_000
"""Open streams: one per node and some onlookers; each costs a descriptor and about 20 kB."""

HEARTBEAT_S: Final = 15.0
"""A comment is sent after so much silence, so that both ends notice a dead connection."""

KINDS: Final = frozenset(("publication", "swarm"))
"""publication: a name was given, at once. swarm: a SwarmSummary, at most four a second each."""


class Event(msgspec.Struct, frozen=True):
    """One event in its wire form."""

    id: int
    kind: str
    frame: bytes


class Subscriber:
    """One stream's queue. Made by Feed.subscribed."""

    def __init__(self, kinds: frozenset[str], backlog: list[Event], opening: bytes) -> None:
        self.kinds = kinds
        self._opening = opening
        self._backlog = backlog
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_EVENTS_MAX)
        self._ended = False

    def put(self, event: Event) -> None:
        """Queue an event if it is of a kind asked for; end the stream if it does not keep up."""
        if self._ended or event.kind not in self.kinds:
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
        self._ring: deque[Event] = deque(maxlen=RING_EVENTS_MAX)
        self._last_id = 0
        self._subscribers: set[Subscriber] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._subscribers)

    @property
    def full(self) -> bool:
        """Whether no more subscribers are taken."""
        return self._closed or len(self._subscribers) >= SUBSCRIBERS_MAX

    def wanted(self, kind: str) -> bool:
        """Whether anyone listens to events of `kind`."""
        return any(kind in subscriber.kinds for subscriber in self._subscribers)

    def publish(self, kind: str, data: bytes, now: float) -> int:
        """Send an event to everyone who asked for its kind; returns its id. `data` is one line."""
        assert kind in KINDS
        assert b"\n" not in data
        self._last_id = max(self._last_id + 1, int(now * 1000))
        frame = b"id: %d\nevent: %s\ndata: %s\n\n" % (self._last_id, kind.encode(), data)
        event = Event(self._last_id, kind, frame)
        self._ring.append(event)
        for subscriber in list(self._subscribers):
            subscriber.put(event)
        return self._last_id

    @contextmanager
    def subscribed(self, kinds: frozenset[str], after_id: int | None) -> Iterator[Subscriber]:
        """A subscriber for the time of the block. With `after_id` it first gets what came after
        that event, if the ring still goes back so far."""
        resumed = after_id is not None and self._goes_back_to(after_id)
        backlog = [
            event
            for event in self._ring
            if resumed and after_id is not None and event.id > after_id and event.kind in kinds
        ]
        opening = b'retry: 1000\nid: %d\nevent: open\ndata: {"resumed":%s}\n\n' % (
            after_id if resumed and after_id is not None else self._last_id,
            b"true" if resumed else b"false",
        )
        subscriber = Subscriber(kinds, backlog, opening)
        self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    def close(self) -> None:
        """End all streams and take no more."""
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.end()

    def _goes_back_to(self, event_id: int) -> bool:
        """Whether everything after `event_id` is still in the ring."""
        if event_id == self._last_id:
            return True
        return any(event.id == event_id for event in self._ring)
