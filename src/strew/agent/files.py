"""Files of artifacts over plain HTTP: Range, strong ETag, for curl, aria2 and browsers.

The token is the artifact's read token, in the query (`token`, as `strew show REF --url` prints it)
or as a bearer; a node's token opens everything: the gate checks it (strew.access.routes). What is
not here yet is refused with 503 and Retry-After.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from strew.agent.ranges import part_asked_for
from strew.content.digest import ArtifactId, parse_artifact_id
from strew.content.manifest import Manifest
from strew.errors import NotFoundError, UnavailableError
from strew.tracker.problem import Refusal
from strew.transfer.limits import TokenBucket
from strew.transfer.secured import SecuredTransport
from strew.transfer.secured_sending import WRITE_BYTES

if TYPE_CHECKING:
    from strew.agent.agent import Agent

SEND_BYTES_MAX = 1 << 20
"""Asked of sendfile at once, so that a rate limit is kept."""

PART_WITHIN_S = 60.0
"""A reader that takes less than that (17 kB/s) is cut off: it holds a place, and a file that may
have to go. It can resume. Lower: readers on slow links start again; higher: places are held."""

RETRY_AFTER_S = 2


class Files:
    """GET and HEAD of /files/{id}/{path}."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Serve a whole file or the one range that was asked for (RFC 9110, section 14)."""
        artifact = parse_artifact_id(request.match_info["id"])
        manifest = self._agent.store.manifest(artifact)
        number = _entry_of(manifest, request.match_info["path"])
        size_bytes = manifest.entries[number].size_bytes
        etag = f'"{artifact[7:39]}-{number}"'
        response = web.StreamResponse(
            headers={
                hdrs.ACCEPT_RANGES: "bytes",
                hdrs.ETAG: etag,
                hdrs.CONTENT_TYPE: "application/octet-stream",
                "X-Content-Type-Options": "nosniff",
            }
        )
        if request.headers.get(hdrs.IF_NONE_MATCH) in (etag, "*"):
            response.set_status(304)
            await response.prepare(request)
            return response
        first, end = self._range(request, response, etag, size_bytes)
        start = manifest.file_offset(number)
        if not self._here(artifact, manifest, start + first, end - first):
            raise Refusal(
                503,
                UnavailableError.code,
                "this part of the file is not here yet",
                "wait as Retry-After says",
                {hdrs.RETRY_AFTER: str(RETRY_AFTER_S)},
            )
        response.content_length = end - first
        if response.status == 416:
            response.content_length = 0
        await response.prepare(request)
        if request.method != "HEAD" and response.status != 416:
            await self._send(request, response, artifact, manifest, start + first, end - first)
        return response

    def _range(
        self, request: web.Request, response: web.StreamResponse, etag: str, size_bytes: int
    ) -> tuple[int, int]:
        """(first, end) in bytes of the file; sets the status for it."""
        condition = request.headers.get(hdrs.IF_RANGE)
        if hdrs.RANGE not in request.headers or (condition is not None and condition != etag):
            return 0, size_bytes
        part = part_asked_for(request.headers[hdrs.RANGE], size_bytes)
        if part is None:
            return 0, size_bytes
        if not part.empty:
            response.set_status(206)
            response.headers[hdrs.CONTENT_RANGE] = f"bytes {part.first}-{part.end - 1}/{size_bytes}"
            return part
        response.set_status(416)
        response.headers[hdrs.CONTENT_RANGE] = f"bytes */{size_bytes}"
        return 0, 0

    def _here(self, artifact: ArtifactId, manifest: Manifest, offset: int, length: int) -> bool:
        have = self._agent.store.bitfield(artifact)
        return all(index in have for index in manifest.chunks_of(offset, length))

    async def _send(
        self,
        request: web.Request,
        response: web.StreamResponse,
        artifact: ArtifactId,
        manifest: Manifest,
        offset: int,
        length: int,
    ) -> None:
        """Send bytes of the artifact's stream from the store's files."""
        transport = request.transport
        if transport is None:
            return
        bucket = self._agent.buckets.up
        for index in manifest.chunks_of(offset, length):
            begin = manifest.offset(index)
            low = max(offset - begin, 0)
            high = min(offset + length - begin, manifest.length(index))
            with self._agent.store.reader(artifact, index) as reader:
                for fd, at, count in _cut(reader.spans, low, high):
                    done = 0
                    while done < count:
                        await _turn(bucket)
                        limit = bucket.quantum_bytes if bucket.limited else SEND_BYTES_MAX
                        part = min(count - done, limit)
                        try:
                            async with asyncio.timeout(PART_WITHIN_S):
                                sent = await _send_part(transport, response, fd, at + done, part)
                        except TimeoutError:
                            transport.abort()
                            raise ConnectionResetError("the reader does not read") from None
                        if sent == 0:
                            raise ConnectionResetError("the file became shorter")
                        bucket.take(sent)
                        done += sent


async def _send_part(
    transport: asyncio.Transport, response: web.StreamResponse, fd: int, offset: int, count: int
) -> int:
    """Some bytes of a file, by the kernel alone or, to be encrypted, by way of here."""
    if isinstance(transport, SecuredTransport):
        data = os.pread(fd, min(count, WRITE_BYTES), offset)
        await response.write(data)
        return len(data)
    with os.fdopen(os.dup(fd), "rb", buffering=0) as file:
        return await asyncio.get_running_loop().sendfile(transport, file, offset, count)


async def _turn(bucket: TokenBucket) -> None:
    """Wait until the rate limit allows another piece."""
    while True:
        wait_s = bucket.wait_s()
        if wait_s <= 0:
            return
        await asyncio.sleep(wait_s)


def _cut(spans: list[tuple[int, int, int]], low: int, high: int) -> Iterator[tuple[int, int, int]]:
    """The parts of `spans` that hold bytes low..high of the chunk."""
    at = 0
    for fd, offset, length in spans:
        first, end = max(low, at), min(high, at + length)
        if first < end:
            yield fd, offset + first - at, end - first
        at += length


def _entry_of(manifest: Manifest, path: str) -> int:
    """The number of the regular file of this path."""
    for number, entry in enumerate(manifest.entries):
        if entry.path == path and entry.kind == "file":
            return number
    raise NotFoundError(f"{path!r} is no file of this artifact", hint="see `strew show`")
