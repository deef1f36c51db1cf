"""Keeping a running agent's store within its limit."""

import asyncio

import structlog

from strew.errors import StrewError
from strew.store.store import ChunkStore

_log = structlog.get_logger(__name__)


async def keep_limit(store: ChunkStore, limit_bytes: int | None) -> None:
    """Drop the oldest unpinned held artifacts over the limit; a failure is only logged.

    The caller should then leave the swarms of what is no longer in the store.
    """
    if limit_bytes is None:
        return
    try:
        dropped = await asyncio.to_thread(store.gc, limit_bytes=limit_bytes, dry_run=False)
    except StrewError as error:
        _log.warning("cannot keep the store's limit", reason=str(error))
        return
    for stored in dropped:
        _log.info("dropped", artifact=stored.artifact, name=stored.name, bytes=stored.size_bytes)
