"""One fetch by an agent of its own: what `strew get` and `strew verify --repair` have in common."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from strew.agent.agent import Agent
from strew.agent.process import open_agent
from strew.agent.settings import Settings
from strew.agent.transfer import Transfer
from strew.agent.trusting import believes_nobody
from strew.cli.connection import connected_to, listen_towards
from strew.cli.output import Output
from strew.cli.progress import Progress
from strew.cli.progress import Transfer as Row
from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.content.reference import Address
from strew.errors import DiskError, IntegrityError, StrewError, UnavailableError
from strew.fleet import FleetKey
from strew.store.disk import DiskStore

POLL_S = 0.1
"""How often progress is looked at."""

NO_PEER_S = 30.0
"""Without any neighbour and any new chunk for so long nobody will come: a node that was just
started announces within seconds, one that restarts within its lease."""

_NAME_CHARS_MAX = 40
"""Of the target's name in the name of its scratch folder; the digest behind it tells them apart."""


class Fetched(msgspec.Struct, frozen=True):
    """The result of a fetch, as `strew get --json` gives it."""

    artifact: ArtifactId
    path: str
    size_bytes: int
    fetched_bytes: int
    reused_bytes: int
    seconds: float
    from_origin_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to fetch, to where (None: into the scratch folder), and whom to ask.

    With `sources` nobody else is asked.
    """

    settings: Settings
    key: FleetKey
    manifest: Manifest
    shown: str
    target: Path | None
    tracker: Address
    sources: tuple[Address, ...] = ()


@asynccontextmanager
async def fetched(job: Job, out: Output) -> AsyncIterator[Fetched]:
    """Fetch; while the context lasts the agent serves on what it has.

    UnavailableError if no peer is found for a while, IntegrityError if those found lie, DiskError.
    """
    with scratch(job.settings, job.target, job.manifest.id) as folder:
        store = await asyncio.to_thread(DiskStore, folder)
        try:
            _abandon_others(store, job.manifest.id)
            settings = msgspec.structs.replace(
                job.settings,
                listen=listen_towards(job.sources[0] if job.sources else job.tracker),
                follow=(),
                dht_open=await _speaks_openly(job),
            )
            async with open_agent(
                settings,
                store,
                job.key,
                trackers=() if job.sources else (job.tracker,),
                announces=not job.sources,
                seeds=None if job.sources else (job.tracker,),
                is_member=False,
                trusting=believes_nobody(),
            ) as agent:
                transfer = agent.fetches.fetch(
                    job.manifest.id,
                    job.target,
                    manifest=job.manifest.raw,
                    sources=job.sources,
                    only_sources=bool(job.sources),
                )
                progress = out.progress()
                try:
                    await _watch(agent, transfer, job, progress)
                finally:
                    progress.close()
                yield _outcome(transfer, job.manifest)
        finally:
            await asyncio.to_thread(store.close)


async def _speaks_openly(job: Job) -> bool:
    """Whether the fleet speaks its hash table in the open, as the process at --at says."""
    if job.sources:
        return False
    try:
        async with connected_to(job.settings, job.tracker, job.key) as client:
            return (await client.node()).dht_open
    except StrewError:
        return job.settings.dht_open  # a tracker alone, or gone


@contextmanager
def scratch(settings: Settings, target: Path | None, artifact: ArtifactId) -> Iterator[Path]:
    """A folder for the store of one fetch, the same each time for the same target.

    It is removed when all went well. After a failure it stays for the next try: it remembers what
    was begun beside the target, also of another version, or holds it if there is no target.
    """
    if settings.data is None:
        with tempfile.TemporaryDirectory(prefix="strew-") as name:
            yield Path(name)
        return
    place = str(target.absolute()) if target is not None else artifact
    name = target.name if target is not None else "held"
    digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    folder = settings.data / "fetch" / f"{name[:_NAME_CHARS_MAX]}-{digest}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(
            f"cannot make {str(folder)!r}: {error.strerror}",
            hint="name a folder that can be written with STREW_DATA",
        ) from None
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _abandon_others(store: DiskStore, artifact: ArtifactId) -> None:
    """An earlier try may have begun another version: that will not be wanted any more."""
    for stored in store.artifacts():
        if stored.artifact != artifact and stored.state == "partial":
            store.abandon(stored.artifact)


async def _watch(agent: Agent, transfer: Transfer, job: Job, progress: Progress) -> None:
    """Show progress until the transfer ends; raise what it failed of, or that there is no hope."""
    had_chunks, since_s = -1, agent.now()
    while not transfer.finished.done():
        await asyncio.wait({transfer.finished}, timeout=POLL_S)
        traffic = agent.traffic(transfer.artifact)
        have_chunks = traffic.get("have_chunks", 0)
        neighbours = traffic.get("neighbours", 0)
        progress.update(job.shown, _row(transfer, job.manifest, traffic))
        if transfer.stage == "paused" and transfer.disk_failed is not None:
            raise transfer.disk_failed
        if transfer.stage != "fetching" or neighbours or have_chunks != had_chunks:
            had_chunks, since_s = have_chunks, agent.now()
        elif agent.now() - since_s > NO_PEER_S:
            raise _hopeless(agent, job)
    await asyncio.shield(transfer.finished)


def _row(transfer: Transfer, manifest: Manifest, traffic: dict[str, int]) -> Row:
    ratio = traffic.get("have_chunks", 0) / manifest.chunk_count if manifest.chunk_count else 0.0
    received_bytes = traffic.get("received_bytes", 0)
    return Row(
        int(ratio * manifest.size_bytes),
        manifest.size_bytes,
        neighbours=traffic.get("neighbours"),
        origin_ratio=traffic["received_origin_bytes"] / received_bytes if received_bytes else None,
        note="" if transfer.stage == "fetching" else transfer.stage,
    )


def _hopeless(agent: Agent, job: Job) -> StrewError:
    """Why nothing more is to be expected."""
    refused = agent.metrics.refused_chunks
    if refused:
        return IntegrityError(
            f"{job.shown}: {refused} chunks did not match their digest, and nobody else has them",
            hint="whoever sent them has a damaged copy: 'strew verify --repair' there",
        )
    if job.sources:
        named = ", ".join(map(str, job.sources))
        return UnavailableError(
            f"{job.shown}: none of {named} can be reached", hint="is the address right?"
        )
    return UnavailableError(
        f"{job.shown}: no node that has it could be reached for {NO_PEER_S:.0f} s",
        hint="'strew status' shows who has it; try again later",
    )


def _outcome(transfer: Transfer, manifest: Manifest) -> Fetched:
    fetched_bytes = transfer.fetched_bytes
    ended_s = transfer.ended_s or transfer.started_s
    return Fetched(
        artifact=manifest.id,
        path=str(transfer.finished.result()),
        size_bytes=manifest.size_bytes,
        fetched_bytes=fetched_bytes,
        reused_bytes=manifest.size_bytes - fetched_bytes,
        seconds=ended_s - transfer.started_s,
        from_origin_ratio=transfer.fetched_origin_bytes / fetched_bytes if fetched_bytes else 0.0,
    )
