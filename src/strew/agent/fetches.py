"""The artifacts of an agent: seeding, fetching, mending, and leaving them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from strew.agent.envelopes import gather
from strew.agent.eviction import keep_limit
from strew.agent.transfer import Outcome, Stage, Transfer
from strew.content.bitfield import Bitfield
from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.errors import DiskError, IntegrityError, NotFoundError, StrewError, UsageError
from strew.messages import ChunkRotten, Closed, Opened, StateChanged, swarm_key_of
from strew.store.store import ChunkStore, StoredArtifact

if TYPE_CHECKING:
    from strew.agent.agent import Agent

DISK_RETRY_S = 4.0
"""How often a transfer that is paused for its disk looks again (promise: goes on within 10 s)."""

Result = TypeVar("Result")

_log = structlog.get_logger(__name__)


class Fetches:
    """Every transfer of this process by artifact; each runs as one task, a script of its life."""

    def __init__(
        self, agent: Agent, store: ChunkStore, on_transfer: Callable[[Transfer], None]
    ) -> None:
        self.transfers: dict[ArtifactId, Transfer] = {}
        self._agent = agent
        self._store = store
        self._on_transfer = on_transfer
        self._doubted: set[ArtifactId] = set()
        self._leaving: set[asyncio.Task[None]] = set()

    def seed(self, manifest: Manifest, *, origin: bool) -> None:
        """Take part in the swarm of an artifact that is complete here."""
        self._open(manifest, Bitfield.full(manifest.chunk_count), origin=origin)

    def take_up(self, stored: StoredArtifact) -> None:
        """Go on with what an earlier process had: seed it, or fetch again what of it was lost."""
        try:
            manifest = self._store.manifest(stored.artifact)
            intact = self._store.bitfield(stored.artifact).complete
        except StrewError as error:
            # the index says it is complete, but a disk lost its manifest: it is found again at its
            # place, and hashed, when it is asked for
            _log.warning("cannot be served", artifact=stored.artifact, reason=str(error))
            return
        if intact:
            self.seed(manifest, origin=stored.pinned)
        else:
            self.mend(manifest)

    async def manifest(self, artifact: ArtifactId, within_s: float) -> bytes:
        """The exact bytes of a manifest that is on its way here. NotFoundError if it is not, or not
        here in time."""
        transfer = self.transfers.get(artifact)
        if transfer is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await transfer.located.wait()
            if transfer.manifest is not None:
                return transfer.manifest.raw
        raise NotFoundError(f"no manifest of {artifact} is kept here")

    def _open(self, manifest: Manifest, have: Bitfield, *, origin: bool = False) -> None:
        self._agent.manifests[swarm_key_of(manifest.id)] = manifest
        # sources matter to a fetch; who is complete, an origin above all, deals with everybody
        transfer = None if have.complete else self.transfers.get(manifest.id)
        self._agent.tell(
            Opened(
                manifest.id,
                manifest.lengths,
                have,
                origin,
                transfer.sources if transfer else (),
                transfer.only_sources if transfer else False,
            )
        )

    def publish_from(self, manifest: Manifest, publisher: tuple[str, int]) -> Transfer:
        """Take an artifact over from the process that publishes it, and be its origin."""
        transfer = self.fetch(
            manifest.id,
            None,
            manifest=manifest.raw,
            sources=(publisher,),
            only_sources=True,
        )
        transfer.becomes_origin = True
        return transfer

    async def install(self, artifact: ArtifactId, folder: Path) -> None:
        """Put what is complete here in place, too, under its published name inside `folder`."""
        try:
            manifest = self._store.manifest(artifact)
            target = folder / manifest.name
            await asyncio.to_thread(self._store.begin, manifest, target)
            await asyncio.to_thread(self._store.finish, artifact)
        except StrewError as error:
            _log.warning("not put in place", artifact=artifact, reason=str(error))
        self._forget_replaced()

    def abandon(self, artifact: ArtifactId) -> None:
        """Stop fetching an artifact and delete what of it is not complete."""
        transfer = self.transfers.get(artifact)
        if transfer is None or transfer.finished.done() or transfer.task is None:
            return
        transfer.task.cancel()
        self.close_artifact(artifact)
        leaving = self._agent.spawn(self._leave(transfer))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _leave(self, transfer: Transfer) -> None:
        """Delete what of an abandoned fetch is here, once the store no longer works for it: a
        thread goes on with what it has begun, whoever waits for it or not."""
        if transfer.work is not None:
            await asyncio.wait({transfer.work})
        try:
            await asyncio.to_thread(self._store.abandon, transfer.artifact)
        except NotFoundError:
            pass  # it had not come so far
        except StrewError as error:
            _log.warning("not deleted", artifact=transfer.artifact, reason=str(error))

    async def _work(self, transfer: Transfer, work: Callable[..., Result], *of: Any) -> Result:
        """Have the store work for a transfer, in a thread."""
        transfer.work = running = asyncio.ensure_future(asyncio.to_thread(work, *of))
        # who is cancelled does not hear how it ended, and that is no news
        running.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(running)

    def close_artifact(self, artifact: ArtifactId) -> None:
        """Leave its swarm; its data stays in the store."""
        self._agent.tell(Closed(artifact))
        self._agent.manifests.pop(swarm_key_of(artifact), None)

    def fetch(
        self,
        artifact: ArtifactId,
        target: Path | None,
        *,
        manifest: bytes = b"",
        reference: str = "",
        sources: tuple[tuple[str, int], ...] = (),
        only_sources: bool = False,
        as_name_in: Path | None = None,
        holder: tuple[str, int] | None = None,
        version: int = 0,
    ) -> Transfer:
        """Start (or find) the transfer of an artifact to `target`; None keeps it in the store.

        With `as_name_in` the target is the published name inside that folder. `holder` is asked for
        the manifest before any tracker. `version` is that of the publication it is fetched by.
        """
        running = self.transfers.get(artifact)
        if running is not None and not running.finished.done():
            return running
        transfer = Transfer(artifact, target, reference, sources, only_sources, holder)
        transfer.version = version
        transfer.started_s = self._agent.now()
        transfer.enter("locating", transfer.started_s)
        self.transfers[artifact] = transfer
        self._agent.sampler.began(transfer)
        self._on_transfer(transfer)
        transfer.task = self._agent.spawn(self._run(transfer, manifest, as_name_in))
        return transfer

    async def _run(self, transfer: Transfer, raw: bytes, folder: Path | None) -> None:
        """A transfer's life; every way out settles `finished`."""
        try:
            if not raw:
                raw = self._known_manifest(transfer) or await self._agent.trackers.manifest(
                    transfer
                )
            manifest = Manifest.parse(raw)
            if manifest.id != transfer.artifact:
                raise IntegrityError(f"manifest of {transfer.artifact} has another digest")
            transfer.locate(manifest)
            if folder is not None:
                transfer.target = folder / manifest.name
            while (path := await self._fetch_once(transfer, manifest)) is None:
                await asyncio.sleep(DISK_RETRY_S)
            transfer.ended_s = self._agent.now()
            if transfer.becomes_origin:
                self._store.pin(transfer.artifact)
            await keep_limit(self._store, self._agent.settings.store_limit_bytes)
            self._forget_replaced()  # first, so that one announce tells of both
            if transfer.becomes_origin:
                self.seed(manifest, origin=True)
            else:
                self._agent.tell(StateChanged(transfer.artifact, "seeding"))
            self._end(transfer, path, None, "done")
            if transfer.reference:
                self._agent.spawn(gather(self._agent, transfer))
        except StrewError as error:
            self._tell_state(transfer, "failed", error.message)
            self._end(transfer, None, error)
        except asyncio.CancelledError:
            stopped = NotFoundError(f"transfer of {transfer.artifact} was stopped")
            self._end(transfer, None, stopped, "stopped")
            raise
        except Exception as error:  # a fault of ours: nobody may wait for ever for its end
            _log.error("transfer broke", artifact=transfer.artifact, exc_info=True)
            failure = StrewError(f"transfer of {transfer.artifact} broke: {error!r}")
            self._tell_state(transfer, "failed", failure.message)
            self._end(transfer, None, failure)

    def _end(
        self,
        transfer: Transfer,
        path: Path | None,
        error: StrewError | None,
        outcome: Outcome = "failed",
    ) -> None:
        """Settle a transfer, and count it."""
        transfer.ended_s = transfer.ended_s or self._agent.now()
        transfer.outcome = outcome
        transfer.came_bytes = self._agent.sampler.came_bytes(transfer.artifact)
        transfer.end(path, error)
        if outcome == "stopped":
            self._agent.sampler.forget(transfer.artifact)
        else:
            self._agent.sampler.ended(transfer)
        self._agent.metrics.transfer_ended(transfer)
        if self._agent.tracing is not None:
            self._agent.tracing.transfer_ended(transfer, self._agent.now())

    def _enter(self, transfer: Transfer, stage: Stage) -> None:
        transfer.enter(stage, self._agent.now())
        self._agent.sampler.entered(transfer)

    def _known_manifest(self, transfer: Transfer) -> bytes:
        """That of a fetch which an earlier process began; empty if there is none."""
        try:
            return self._store.manifest(transfer.artifact).raw
        except StrewError:
            return b""

    async def _fetch_once(self, transfer: Transfer, manifest: Manifest) -> Path | None:
        """Fill the store's copy and put it in place; None if that is to be tried again."""
        artifact = transfer.artifact
        transfer.disk_failed = None
        transfer.completed.clear()
        try:
            if self._leaving:  # or what is older could come to the same place after this
                await asyncio.wait(self._leaving)
            have = await self._work(transfer, self._store.begin, manifest, transfer.target)
            if not have.complete:
                self._enter(transfer, "reusing")
                transfer.reused_bytes += await self._work(
                    transfer, self._store.reuse, artifact, lambda index: None
                )
                have = self._store.bitfield(artifact)
        except DiskError as error:
            self._pause(transfer, error)
            return None
        self._enter(transfer, "fetching")
        self._agent.sampler.course(artifact).found(have, manifest.lengths)
        self._open(manifest, have)
        if have.complete:
            self._agent.tell(StateChanged(artifact, "fetching"))  # not done before it is in place
        else:
            await transfer.completed.wait()
        transfer.count(self._agent.traffic(artifact))
        failed = self._disk_failure(transfer)
        if failed is None:
            self._enter(transfer, "finishing")
            try:
                return await self._work(transfer, self._store.finish, artifact)
            except DiskError as error:
                failed = error
            except UsageError as error:
                if self._store.bitfield(artifact).complete:
                    raise
                failed = error  # some of it rotted since it was written
        self.close_artifact(artifact)
        self._pause(transfer, failed)
        return None

    def _disk_failure(self, transfer: Transfer) -> StrewError | None:
        """What the store thread met while the transfer ran."""
        return transfer.disk_failed

    def _pause(self, transfer: Transfer, error: DiskError | StrewError) -> None:
        is_first = all(stage != "paused" for stage, _ in transfer.stages)
        transfer.reason = error.message
        self._enter(transfer, "paused")
        transfer.disk_failed = error
        self._tell_state(transfer, "paused", error.message)
        if is_first:  # it looks at the disk again every few seconds, perhaps for days
            _log.warning("paused", artifact=transfer.artifact, reason=str(error))

    def _tell_state(self, transfer: Transfer, state: str, reason: str) -> None:
        """Tell the fleet of a transfer that does not go on, whether it is in the swarm or not."""
        count = transfer.manifest.chunk_count if transfer.manifest is not None else 0
        have = 0
        with contextlib.suppress(StrewError):  # the store may not have heard of it
            have = self._store.bitfield(transfer.artifact).count
        self._agent.tell(StateChanged(transfer.artifact, state, reason, have, count))

    def _forget_replaced(self) -> None:
        """Leave the swarms of artifacts whose place a newer version has taken."""
        known = {stored.artifact for stored in self._store.artifacts()}
        assert self._agent.node is not None
        for part in list(self._agent.node.participations.values()):
            if part.artifact not in known:
                self.close_artifact(part.artifact)

    def doubt(self, manifest: Manifest) -> None:
        """A chunk on this disk was found wrong: look at all of the artifact's before others ask
        for them, give up what else is wrong, and fetch it again."""
        if manifest.id not in self._doubted:
            self._doubted.add(manifest.id)
            self._agent.spawn(self._look_through(manifest))

    async def _look_through(self, manifest: Manifest) -> None:
        try:
            missing = await asyncio.to_thread(self._store.verify, manifest.id)
            part = swarm_key_of(manifest.id)
            for index in missing:
                self._agent.tell(ChunkRotten(part, index))
            if missing:
                _log.warning("damaged on disk", artifact=manifest.id, chunks=len(missing))
                self.mend(manifest)
        except StrewError as error:
            _log.warning("cannot be checked", artifact=manifest.id, reason=str(error))
        finally:
            self._doubted.discard(manifest.id)

    def mend(self, manifest: Manifest) -> None:
        """Fetch again, in place, what is missing of an artifact that was complete."""
        if manifest.id in self.transfers and not self.transfers[manifest.id].finished.done():
            return
        stored = next((s for s in self._store.artifacts() if s.artifact == manifest.id), None)
        if stored is None:
            return
        if stored.kind == "external":
            self.close_artifact(manifest.id)  # its files were edited: they are not ours to change
            return
        target = stored.path if stored.kind == "installed" else None
        self.fetch(manifest.id, target, manifest=manifest.raw).becomes_origin = stored.pinned
