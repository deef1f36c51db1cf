"""Handing a published file over to its origin: the process that `strew push` talks to."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from strew.agent.client import NodeClient, TransferReport
from strew.agent.process import open_agent
from strew.agent.settings import Settings
from strew.agent.trusting import believes_nobody
from strew.announce.naming import AHEAD_MAX_S
from strew.cli.connection import listen_towards
from strew.cli.fleetkey import fleet_key
from strew.cli.hashing import hashing
from strew.cli.output import Output
from strew.cli.progress import Progress
from strew.cli.progress import Transfer as Row
from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.content.reference import Name
from strew.errors import (
    DiskError,
    InputChangedError,
    IntegrityError,
    NotFoundError,
    ProtocolError,
    StrewError,
    UnavailableError,
)
from strew.messages import Dial
from strew.publication import Publication
from strew.store.disk import DiskStore
from strew.trust.signing import Signatory

POLL_FIRST_S = 0.01
POLL_MAX_S = 0.25
"""How often the origin is asked how far it is; soon at first, so that small files are quick."""

STALLED_S = 30.0
"""An origin that got nothing for so long cannot reach this machine, or its disk stays full."""

PUBLISH_WITHIN_S = 20.0
"""The origin's announce must reach the tracker first: soon, or in 5 s if it just made several."""

PUBLISH_RETRY_S = 0.1

_ERRORS: dict[str, type[StrewError]] = {
    DiskError.code: DiskError,
    IntegrityError.code: IntegrityError,
    UnavailableError.code: UnavailableError,
}


@dataclass(frozen=True, slots=True)
class Source:
    """What is published, in a store of its own that serves it from where it lies."""

    manifest: Manifest
    store: DiskStore


@asynccontextmanager
async def ingested(path: Path, out: Output) -> AsyncIterator[Source]:
    """Cut and hash a file or folder. UsageError, InputChangedError, NotFoundError, DiskError."""
    with _folder_for_a_while() as folder:
        store = DiskStore(Path(folder))
        progress = out.progress()
        try:
            manifest = await hashing(
                lambda step: store.ingest(path, on_progress=step), progress, path.name, "reading"
            )
            store.unpin(manifest.id)  # pinned is what this process were the origin of
            progress.close()
            yield Source(manifest, store)
        finally:
            progress.close()
            await asyncio.to_thread(store.close)


def _folder_for_a_while() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder. DiskError if there is none to be had."""
    try:
        return tempfile.TemporaryDirectory(prefix="strew-push-")
    except OSError as error:
        rule = error.strerror or "no folder to make it in"
        raise DiskError(
            f"cannot make a temporary folder: {rule}",
            hint="name one that can be written in the variable TMPDIR",
        ) from None


async def upload(settings: Settings, client: NodeClient, source: Source, out: Output) -> int:
    """Have the origin fetch all it lacks; returns how many bytes these were.

    UnavailableError if it cannot reach this machine; DiskError if it has no room;
    InputChangedError.
    """
    manifest = source.manifest
    known = (await client.node()).swarms.get(manifest.id, {})
    if known.get("origin") and known.get("complete"):
        return 0
    settings = msgspec.structs.replace(settings, listen=listen_towards(client.address), follow=())
    key = fleet_key(settings, client.address)
    progress = out.progress()
    try:
        async with open_agent(
            settings,
            source.store,
            key,
            trackers=(client.address,),
            announces=False,
            trusting=believes_nobody(),
        ) as agent:
            report = await client.upload(manifest, agent.address[1])
            # the origin dials back; where a firewall forbids that, it fetches over this connection
            agent.carry_out([Dial(*client.address)])
            return (await _followed(client, source, report, progress)).fetched_bytes
    finally:
        progress.close()


async def _followed(
    client: NodeClient, source: Source, report: TransferReport, progress: Progress
) -> TransferReport:
    """Ask again and again until the transfer is done.

    InputChangedError if the source is not as it was read any more: that the origin never gets.
    """
    manifest = source.manifest
    loop = asyncio.get_running_loop()
    had_chunks, since_s, wait_s = -1, loop.time(), POLL_FIRST_S
    while report.stage != "done":
        if report.stage == "failed":
            raise _refusal(client, report)
        if not source.store.bitfield(manifest.id).complete:
            raise InputChangedError(
                f"{manifest.name!r} changed while it was uploaded",
                hint="publish it when nobody writes to it",
            )
        if report.have_chunks != had_chunks or report.stage in ("reusing", "finishing"):
            had_chunks, since_s = report.have_chunks, loop.time()
        elif loop.time() - since_s > STALLED_S:
            raise _stalled(client, report)
        done = report.have_chunks / manifest.chunk_count if manifest.chunk_count else 0.0
        note = f"to the origin, {report.stage}" if report.stage != "fetching" else "to the origin"
        row = Row(int(done * manifest.size_bytes), manifest.size_bytes, note=note)
        progress.update(manifest.name, row)
        await asyncio.sleep(wait_s)
        wait_s = min(1.5 * wait_s, POLL_MAX_S)
        report = await client.transfer(manifest.id)
    return report


def _refusal(client: NodeClient, report: TransferReport) -> StrewError:
    kind = _ERRORS.get(report.code, UnavailableError)
    return kind(f"origin {client.address}: {report.reason}", hint="its log says more")


def _stalled(client: NodeClient, report: TransferReport) -> StrewError:
    if report.stage == "paused":
        return _refusal(client, report)
    if report.neighbours:
        return UnavailableError(
            f"origin {client.address} received nothing for {STALLED_S:.0f} s", hint="try again"
        )
    return UnavailableError(
        f"origin {client.address} and this machine cannot connect to each other",
        hint="is its port open to this machine for other things than HTTP?",
    )


@dataclass(frozen=True, slots=True)
class Published:
    """A name that was given. `asked_s` is when, on the event loop's clock; None if it had it, and
    good for long."""

    publication: Publication
    asked_s: float | None


async def publish(
    client: NodeClient,
    name: Name,
    artifact: ArtifactId,
    raw: bytes | None,
    signatory: Signatory | None,
) -> Published:
    """Name the artifact, first giving its manifest if the tracker may lack it. With `signatory` the
    name is signed here, else by the process that is asked.

    Waits while the tracker has not heard of the origin yet. UnavailableError; DeniedError if the
    other side trusts none of the keys.
    """
    present: Publication | None = None
    with contextlib.suppress(NotFoundError):
        present = await client.resolve(name)
    if raw is not None and (present is None or present.artifact != artifact):
        await client.put_manifest(artifact, raw)
    loop = asyncio.get_running_loop()
    until_s = loop.time() + PUBLISH_WITHIN_S
    while True:
        asked_s = loop.time()
        try:
            if signatory is None:
                given = await client.publish(name, artifact)
            else:
                given = await _signed(client, name, artifact, present, signatory)
        except UnavailableError:
            if asked_s > until_s:
                raise
        else:
            return Published(given, None if given == present else asked_s)
        await asyncio.sleep(PUBLISH_RETRY_S)


async def _signed(
    client: NodeClient,
    name: Name,
    artifact: ArtifactId,
    present: Publication | None,
    signatory: Signatory,
) -> Publication:
    """Sign the name here and hand it in. The other side proposes version and sizes, and is believed
    in neither: what is signed is what the manifest says, in a version near this machine's clock."""
    now_s = time.time()
    if present is not None and present.artifact == artifact and signatory.stands(present, now_s):
        return present
    draft = await client.draft(name, artifact)
    raw = await client.manifest(artifact)
    manifest = Manifest.parse(raw)
    version = max(draft.version, int(now_s * 1000))
    if version > (now_s + AHEAD_MAX_S) * 1000:
        raise ProtocolError(
            f"{client.address} asks for version {version} of {name}, more than a day ahead",
            hint="is the clock of this machine or of that one wrong?",
        )
    record = signatory.sign(
        Publication(
            reference=str(name),
            artifact=artifact,
            version=version,
            size_bytes=manifest.size_bytes,
            chunk_count=manifest.chunk_count,
            published_s=now_s,
            name=manifest.name,
        ),
        now_s,
    )
    return await client.hand_in(name, record, await asyncio.to_thread(signatory.sign_manifest, raw))
