"""How a name is given at a tracker: asked for and signed there, or signed elsewhere and handed in.

Either way the artifact's manifest must be known and a live node must hold all of it: a name nobody
can fetch would only make nodes wait. Versions are unix milliseconds and grow over all names.
"""

from dataclasses import dataclass

import msgspec

from strew.announce.decision import Decision, Refused
from strew.announce.records import ArtifactFacts, Enrol, PutPublication, RegistryView
from strew.announce.reference import follower_of
from strew.content.digest import ArtifactId
from strew.messages import PeerId
from strew.publication import Publication, ReferenceText
from strew.trust.signing import Signatory

AHEAD_MAX_S = 86_400.0
"""A record signed elsewhere may bear a version so far ahead of this machine's clock. Lower: a
publisher whose clock is wrong by a time zone is refused; higher: one bad clock drives all later
versions as far into the future."""

REFERENCES_MAX = 100_000
"""Names a tracker keeps, about 700 bytes each in memory."""

_MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class PublishAsked:
    """Somebody entitled to it gives an artifact a name. A `draft` is not written: it is for whoever
    signs it elsewhere."""

    reference: ReferenceText
    artifact: ArtifactId
    draft: bool = False


@dataclass(frozen=True, slots=True)
class RecordGiven:
    """Somebody entitled to it hands in a name as signed elsewhere, by keys that are trusted."""

    publication: Publication


def published(
    event: PublishAsked, view: RegistryView, now: float, signatory: Signatory
) -> Decision:
    """Decide on a name that is asked for."""
    facts = view.facts(event.artifact)
    if facts is None:
        return Decision(_unknown(event.artifact))
    present = view.publication(event.reference)
    is_it = present is not None and present.artifact == event.artifact and not event.draft
    if present is not None and is_it and signatory.stands(present, now):
        return Decision(present)
    refused = _refusal(event.artifact, view)
    if refused is not None:
        return Decision(refused)
    draft = Publication(
        reference=event.reference,
        artifact=event.artifact,
        version=max(view.last_version() + 1, int(now * _MS_PER_S)),
        size_bytes=facts.size_bytes,
        chunk_count=facts.chunk_count,
        published_s=now,
        name=facts.name,
    )
    return Decision(draft) if event.draft else _given(signatory.sign(draft, now), view)


def recorded(event: RecordGiven, view: RegistryView, now: float) -> Decision:
    """Decide on a name that was signed elsewhere."""
    record = event.publication
    facts = view.facts(record.artifact)
    if facts is None:
        return Decision(_unknown(record.artifact))
    if view.publication(record.reference) == record:
        return Decision(record)
    refused = _refusal(record.artifact, view)
    if refused is not None:
        return Decision(refused)
    refused = misfit(record, facts, view.last_version(), now)
    return Decision(refused) if refused is not None else _given(record, view)


def misfit(record: Publication, facts: ArtifactFacts, last: int, now: float) -> Refused | None:
    """Why a record signed elsewhere cannot be the next after version `last`; None if it can."""
    said = (record.size_bytes, record.chunk_count, record.name)
    if said != (facts.size_bytes, facts.chunk_count, facts.name):
        return Refused(
            "invalid", f"{record.reference}: the record says other sizes than the manifest"
        )
    if record.version <= last:
        return Refused(
            "conflict",
            f"{record.reference}: version {record.version} is not above {last}",
            "another name was given meanwhile: push again",
        )
    if record.version > max(last + 1, (now + AHEAD_MAX_S) * _MS_PER_S):
        return Refused(
            "invalid",
            f"{record.reference}: version {record.version} is more than a day ahead",
            "set the clock of the machine that signs",
        )
    return None


def renewals(view: RegistryView, now: float, signatory: Signatory) -> list[Publication]:
    """New versions of names that need new signatures: those that an older version of strew gave
    without any, and those that these keys signed and whose time runs out, or which lack one of the
    keys of today. What others signed is for them to renew. To be stored in this order.
    """
    due = [
        publication
        for publication in view.publications_since(0, REFERENCES_MAX)
        if not signatory.stands(publication, now)
        and (not publication.signatures or signatory.vouches(publication))
    ]
    first = max(view.last_version() + 1, int(now * _MS_PER_S))
    return [
        signatory.sign(msgspec.structs.replace(publication, version=version), now)
        for version, publication in enumerate(due, first)
    ]


def _given(publication: Publication, view: RegistryView) -> Decision:
    enrol = Enrol(publication.artifact, _followers(publication.reference, view))
    writes = (PutPublication(publication), enrol)
    return Decision(publication, writes, frozenset((publication.artifact,)))


def _unknown(artifact: ArtifactId) -> Refused:
    return Refused(
        "conflict", f"the manifest of {artifact} is not known here", "upload the manifest first"
    )


def _refusal(artifact: ArtifactId, view: RegistryView) -> Refused | None:
    if view.has_complete(artifact):
        return None
    return Refused(
        "conflict",
        f"no node that is alive holds all of {artifact}",
        "let its node announce it first",
        retry_after_s=1.0,
    )


def _followers(reference: ReferenceText, view: RegistryView) -> tuple[PeerId, ...]:
    """Nodes that follow `reference`."""
    is_follower = follower_of([reference])
    return tuple(record.peer.id for record in view.nodes() if is_follower(record.follows))
