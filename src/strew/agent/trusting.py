"""Whom a process believes and what it signs with, from its settings and its data folder.

It is the tracker's notary (strew.tracker.notary) and the node's `admits`. What is refused is logged
and counted once, not each time a rumour repeats it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from strew.agent.anchors import Policy, TrustFile
from strew.agent.keyfile import publisher_key, read_signing_key
from strew.agent.settings import Settings
from strew.agent.signed import SignedRecords
from strew.content.digest import ArtifactId
from strew.errors import ConfigurationError, IntegrityError, StrewError
from strew.fleet import FleetKey
from strew.publication import Publication, Signature
from strew.trust.keys import SigningKey, member_key
from strew.trust.policy import Anchor, Refusal, Trust
from strew.trust.signing import UNSIGNED, Signatory

LOOK_EVERY_S = 1.0
"""How often the file of trust is looked at; a change counts within 2 s. Lower: a stolen key ends
sooner, for one `stat` each time."""

REFUSED_MAX = 1024
"""Refusals remembered, so that each is logged once."""

_log = structlog.get_logger(__name__)


class Trusting:
    """See the module. `records` is None in a process that lives for one transfer."""

    def __init__(
        self,
        trust: Trust,
        signatory: Signatory,
        *,
        configured: Sequence[Anchor] = (),
        file: TrustFile | None = None,
        records: SignedRecords | None = None,
    ) -> None:
        self.trust = trust
        self.signatory = signatory
        self.records = records
        self.on_refusal: Callable[[str], None] = lambda kind: None
        self._configured = tuple(configured)
        self._file = file
        self._stamp = file.stamp() if file is not None else ()
        self._refused: dict[tuple[str, int, str], None] = {}
        if records is not None:
            trust.recall(records.floors())
        if file is not None:
            self._apply(file.read())

    # --- judging ---------------------------------------------------------------------------------

    def admits(self, publication: Publication) -> bool:
        """Whether a publication is believed; as strew.publication.Admits."""
        refusal = self.trust.refusal(publication)
        if refusal is not None:
            self._tell(publication, refusal)
        return refusal is None

    def begin(self, publications: Sequence[Publication], now_s: float) -> list[Publication]:
        """Of these the ones by whose name a fetch may begin at that unix time. That nothing older
        will be taken is on disk when this returns. DiskError if it cannot be kept: begin nothing.
        """
        good: list[Publication] = []
        for publication in publications:
            refusal = self.trust.refusal(publication) or self.trust.expiry(publication, now_s)
            if refusal is None:
                good.append(publication)
            else:
                self._tell(publication, refusal)
        floors = [floor for publication in good for floor in self.trust.floors_of(publication)]
        if floors and self.records is not None:
            self.records.keep_floors(floors)
        self.trust.recall(floors)
        return good

    def require(self, publication: Publication, now_s: float) -> None:
        """As `begin`, of one; IntegrityError says why not."""
        if not self.begin([publication], now_s):
            refusal = self.trust.refusal(publication) or self.trust.expiry(publication, now_s)
            assert refusal is not None
            raise IntegrityError(refusal.message, hint=_REMEDY[refusal.kind])

    def _tell(self, publication: Publication, refusal: Refusal) -> None:
        asked = (publication.reference, publication.version, refusal.kind)
        if asked in self._refused:
            return
        if len(self._refused) >= REFUSED_MAX:
            del self._refused[next(iter(self._refused))]
        self._refused[asked] = None
        self.on_refusal(refusal.kind)
        _log.warning("name refused", reason=refusal.message, artifact=publication.artifact)

    def told(self) -> list[Anchor]:
        """Whom a machine that joins here should trust: this process, if it has a key of its own,
        and whom it trusts by name."""
        anchors = dict.fromkeys((*map(Anchor, self.trust.own), *self.trust.anchors))
        return [anchor for anchor in anchors if anchor.key.id not in self.trust.revoked]

    def adopt(self, publication: Publication) -> Publication:
        """A name from this process's own memory. One that an older version of strew heard, which
        signed nothing, is signed where any member's signature is enough: all members do the same,
        so they agree."""
        if publication.signatures or self.trust.anchors:
            return publication
        return self.signatory.sign(publication, publication.published_s)

    # --- manifests -------------------------------------------------------------------------------

    def witness(
        self, artifact: ArtifactId, manifest: bytes, signatures: tuple[Signature, ...] = ()
    ) -> None:
        """As strew.tracker.notary.Notary.witness."""
        if self.records is None:
            return
        if not signatures:
            signatures = self.signatory.sign_manifest(manifest)
        if not signatures:
            return
        if not self.trust.manifest_signers(signatures, manifest):
            raise IntegrityError(f"the manifest of {artifact} is signed by nobody trusted here")
        self.records.keep_signatures(artifact, signatures)

    # --- changes ---------------------------------------------------------------------------------

    async def watch(self, changed: Callable[[], None]) -> None:
        """Take up what operators write into the file of trust, for ever. One that cannot be read
        changes nothing, and neither does one that is taken away."""
        while self._file is not None:
            await asyncio.sleep(LOOK_EVERY_S)
            stamp = self._file.stamp()
            if stamp == self._stamp:
                continue
            self._stamp = stamp
            try:
                if not stamp:
                    raise ConfigurationError(f"{self._file.path} was taken away")
                self._apply(self._file.read())
            except StrewError as error:
                _log.error("trust stays as it was", reason=str(error))
                continue
            _log.info(
                "trust changed", anchors=len(self.trust.anchors), revoked=len(self.trust.revoked)
            )
            self._refused.clear()
            changed()

    def _apply(self, policy: Policy) -> None:
        self.trust.change((*self._configured, *policy.anchors), policy.revoked)


_REMEDY = {
    "unsigned": "a newer 'strew serve' signs what it knows when it starts; else push it again",
    "untrusted": "'strew key trust KEY' or --trust KEY, if its publisher is to be trusted",
    "older": "somebody plays an old record again, or its origin lost its state: push it again",
    "expired": "push it again; by its artifact id it can be fetched at any time",
}


def signatory_of(settings: Settings, key: FleetKey, publisher: SigningKey | None) -> Signatory:
    """What a process with these settings signs with: `publisher`'s key, and in the profile lab that
    of every member."""
    keys = [publisher] if publisher is not None else []
    if settings.profile == "lab":
        keys.append(member_key(key))
    return Signatory(keys, settings.name_life_s)


def trusting_of(
    settings: Settings,
    key: FleetKey,
    *,
    publisher: SigningKey | None = None,
    records: SignedRecords | None = None,
) -> Trusting:
    """Whom a process with these settings and this folder believes; `publisher` is its own key.
    ConfigurationError if the file of trust cannot be understood, or, in the profile strict, nobody
    is trusted."""
    if publisher is None and settings.sign_with is not None:
        publisher = read_signing_key(settings.sign_with)
    own = (publisher.public,) if publisher is not None else ()
    is_lab = settings.profile == "lab"
    trust = Trust(settings.trust, member=member_key(key).public if is_lab else None, own=own)
    trusting = Trusting(
        trust,
        signatory_of(settings, key, publisher),
        configured=settings.trust,
        file=TrustFile(settings.data) if settings.data is not None else None,
        records=records,
    )
    if not is_lab and not trust.anchors and not own:
        raise ConfigurationError(
            "profile strict needs to know whose names to trust, and nobody is named",
            hint="give --trust KEY, or 'strew key trust KEY': 'strew serve' prints its own",
        )
    return trusting


def believes_nobody() -> Trusting:
    """For a process that goes by no name: it moves one artifact that was decided on before."""
    return Trusting(Trust(), UNSIGNED)


@contextmanager
def open_trusting(
    settings: Settings, key: FleetKey, folder: Path, *, publishes: bool = False
) -> Iterator[Trusting]:
    """The same for a process that runs for long, or remembers what it took: its memory is in
    `folder`. With `publishes` it has a key of its own, made at its first start."""
    publisher = None
    if publishes and settings.sign_with is None:
        publisher = publisher_key(folder)
    records = SignedRecords(folder)
    try:
        yield trusting_of(settings, key, publisher=publisher, records=records)
    finally:
        records.close()
