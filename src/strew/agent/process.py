"""Putting an agent together: what `serve`, `node`, `get` and `push` have in common."""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from strew.agent.agent import Agent
from strew.agent.api import NO_PAGES, NodeApi
from strew.agent.following import Follower
from strew.agent.settings import Settings
from strew.agent.transfer import Transfer
from strew.agent.trusting import Trusting, trusting_of
from strew.content.reference import Address
from strew.errors import DiskError, StrewError
from strew.fleet import FleetKey
from strew.messages import PeerId
from strew.store.posix import write_whole
from strew.store.store import ChunkStore
from strew.tracker.audit import AuditLog
from strew.tracker.clock import SteadyClock
from strew.tracker.gate import Guard, Handler, host_rule
from strew.tracker.service import Tracker
from strew.tracker.sqlite import SqliteState
from strew.tracker.vault import Vault

PEER_ID_FILE = "node.id"
TRACKER_FILE = "tracker.sqlite"


@asynccontextmanager
async def open_agent(
    settings: Settings,
    store: ChunkStore,
    key: FleetKey,
    *,
    peer: PeerId | None = None,
    trackers: tuple[Address, ...] = (),
    into: Path | None = None,
    announces: bool = True,
    seeds: tuple[Address, ...] | None = None,
    is_member: bool = True,
    tracker: Tracker | None = None,
    guard: Guard | None = None,
    trusting: Trusting | None = None,
    on_transfer: Callable[[Transfer], None] | None = None,
    pages: Mapping[str, Handler] = NO_PAGES,
) -> AsyncIterator[Agent]:
    """A started agent, stopped when the context ends.

    With `into` it follows `settings.follow` into that folder. With `tracker` the process is that
    tracker as well, on the same port, and its node announces to it like any other. With `seeds` it
    takes part in gossip and the hash table, or, being no `member`, asks the hash table alone.
    `guard` is what stands at its door (`open_guard`); that of a tracker is the tracker's own.
    `trusting` says whom it believes; without, what its settings say, and it remembers nothing of
    that. `on_transfer` is called for each transfer that begins. `pages` are handlers for people,
    beside those of the API.
    """
    _raise_descriptor_limit()
    follower = Follower(into) if into is not None and settings.follow else None
    agent = Agent(
        settings,
        store,
        key,
        peer=peer,
        trackers=trackers,
        announces=announces,
        seeds=seeds,
        is_member=is_member,
        trusting=trusting or trusting_of(settings, key),
        on_obtain=follower.heard if follower else None,
        on_trust=follower.judge_again if follower else None,
        on_transfer=on_transfer,
    )
    if follower is not None:
        follower.agent = agent
    guard = guard or Guard(strict=settings.profile == "strict")
    if guard.audit is not None:
        agent.port.on_unproved = partial(_note_unproved, guard.audit)
    async with NodeApi(agent, tracker, into, guard, pages).running() as http:
        try:
            await agent.start(http, tracker=tracker)
            yield agent
        finally:
            await agent.stop()


def _note_unproved(audit: AuditLog, host: str, error: StrewError) -> None:
    audit.refused(host, op="peer-wire", reason=error.message, role="none")


def _raise_descriptor_limit() -> None:
    """Take as many descriptors as the machine allows: each peer needs two, each node of a tracker
    one or two. Where that is refused the limits of connections hold instead."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@asynccontextmanager
async def open_guard(settings: Settings) -> AsyncIterator[Guard]:
    """What stands at the door of a process that runs for long: the tokens and the audit log in its
    data folder. The first start makes the admin token of whoever owns that folder."""
    folder = settings.data_folder
    vault = await asyncio.to_thread(Vault, folder)
    await asyncio.to_thread(vault.own_admin_token)
    audit = AuditLog(folder)
    try:
        yield Guard(
            host_rule(*settings.allow_host), vault, audit, strict=settings.profile == "strict"
        )
    finally:
        audit.close()


@asynccontextmanager
async def open_tracker(
    folder: Path, key: FleetKey, guard: Guard | None = None, trusting: Trusting | None = None
) -> AsyncIterator[Tracker]:
    """A tracker whose state lies in `folder`; names are signed and judged by `trusting`."""
    state = await asyncio.to_thread(SqliteState, folder / TRACKER_FILE)
    dice = random.Random(secrets.randbits(64))
    try:
        tracker = Tracker(
            state, key, SteadyClock(), dice, guard=guard, notary=trusting, folder=folder
        )
        await asyncio.to_thread(tracker.renew)
        yield tracker
    finally:
        state.close()


def peer_id_in(folder: Path) -> PeerId:
    """This node's lasting identity: made at the first start, kept in its data folder."""
    path = folder / PEER_ID_FILE
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = path.read_text("ascii").strip()
        if len(text) == 32 and all(c in "0123456789abcdef" for c in text):
            return PeerId(text)
    text = secrets.token_hex(16)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"{text}\n".encode())
    except OSError as error:
        raise DiskError(
            f"cannot keep the node's id in {folder}: {error.strerror}",
            hint="choose a folder that can be written with --data",
        ) from None
    return PeerId(text)
