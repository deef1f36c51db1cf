"""The answer to who asks where the time of a transfer went: its report, or its recording."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import web

from strew.content.digest import ArtifactId, parse_artifact_id
from strew.telemetry.recording import Recording, encode_recording
from strew.telemetry.report import report_of

RECORDING: Final = "recording"
"""In the query: the recording is wanted, of which the report is made."""


async def answer(
    request: web.Request, recording_of: Callable[[ArtifactId], Awaitable[Recording]]
) -> web.Response:
    """What GET /api/v1/swarms/{id}/report gives; `recording_of` raises NotFoundError."""
    recording = await recording_of(parse_artifact_id(request.match_info["id"]))
    make = encode_recording if RECORDING in request.query else _report
    body = await asyncio.to_thread(make, recording)
    return web.Response(body=body, content_type="application/json")


def _report(recording: Recording) -> bytes:
    return msgspec.json.encode(report_of(recording))
