"""The route of the event stream: a feed's frames to one reader, for as long as it takes them."""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web

from strew.content.digest import parse_artifact_id
from strew.errors import UnavailableError, UsageError
from strew.tracker.feed import KINDS, Feed

FRAME_WITHIN_S = 30.0
"""A subscriber that does not take one event in this time is cut off: it holds a place."""


async def stream(feed: Feed, request: web.Request) -> web.StreamResponse:
    """Answer GET /api/v1/events. Query: `kinds`, `artifact`; header: Last-Event-ID."""
    kinds = kinds_of(request)
    artifact = request.query.get("artifact", "")
    if artifact:
        artifact = parse_artifact_id(artifact)
    after_id = _event_id_of(request.headers.get("Last-Event-ID", ""))
    if feed.full:
        raise UnavailableError("this process has no place for another event stream")
    response = web.StreamResponse(headers={hdrs.CACHE_CONTROL: "no-store"})
    response.content_type = "text/event-stream"
    await response.prepare(request)
    with feed.subscribed(kinds, after_id, artifact) as subscriber:
        try:
            async for frame in subscriber.frames():
                async with asyncio.timeout(FRAME_WITHIN_S):
                    await response.write(frame)
        except ConnectionError:
            pass  # the subscriber has gone, as they do
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
    return response


def kinds_of(request: web.Request) -> frozenset[str]:
    """The kinds of events that are asked for; all if none is named. UsageError."""
    text = request.query.get("kinds", "")
    kinds = frozenset(filter(None, text.split(",")))
    if not kinds <= KINDS:
        raise UsageError(
            f"kinds={ascii(text[:100])[1:-1]}: unknown kind",
            hint=f"one of {', '.join(sorted(KINDS))}",
        )
    return kinds or KINDS


def _event_id_of(text: str) -> int | None:
    """A Last-Event-ID; None if there is none or it is none of ours."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else None
