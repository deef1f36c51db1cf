"""Who signed a name or a manifest, for people and for programs."""

from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from strew.agent.client import NodeClient
from strew.agent.trusting import Trusting
from strew.content.digest import ArtifactId
from strew.errors import IntegrityError, NotFoundError
from strew.fleet import FleetKey
from strew.publication import Publication, Signature
from strew.trust.keys import KeyId, member_key


class Signer(msgspec.Struct, frozen=True):
    """One signature. `trusted`: it is good, and its key is believed here; of other keys only their
    id is known, which anybody may have written. `member`: it says only that a member of the fleet
    signed."""

    key: KeyId
    trusted: bool
    member: bool

    def __str__(self) -> str:
        if self.member:
            return f"{self.key} (a member of the fleet)" if self.trusted else f"{self.key} (member)"
        return f"{self.key} (trusted)" if self.trusted else f"{self.key} (not trusted here)"


def name_signers(
    publication: Publication | None, trusting: Trusting, fleet: FleetKey
) -> tuple[Signer, ...]:
    """Of a name's record; of none, nobody."""
    if publication is None:
        return ()
    return _signers(publication.signatures, trusting.trust.signers(publication), fleet)


def manifest_signers(
    signatures: Iterable[Signature], manifest: bytes, trusting: Trusting, fleet: FleetKey
) -> tuple[Signer, ...]:
    """Of a manifest's envelope."""
    signatures = tuple(signatures)
    return _signers(signatures, trusting.trust.manifest_signers(signatures, manifest), fleet)


async def asked_signatures(client: NodeClient, artifact: ArtifactId) -> tuple[Signature, ...]:
    """Those over a manifest which the process asked keeps; none if it keeps none."""
    try:
        return (await client.envelope(artifact)).signatures
    except (NotFoundError, IntegrityError):
        return ()


def shown(signers: Iterable[Signer]) -> str:
    """On one line."""
    return ", ".join(map(str, signers)) or "nobody known here"


def facts_of(signers: Iterable[Signer]) -> list[dict[str, Any]]:
    """As `--json` gives them."""
    return [msgspec.structs.asdict(signer) for signer in signers]


def _signers(
    signatures: Iterable[Signature], good: Collection[KeyId], fleet: FleetKey
) -> tuple[Signer, ...]:
    member = member_key(fleet).public.id
    ids = dict.fromkeys(KeyId(signature.key) for signature in signatures)
    return tuple(Signer(key, key in good, key == member) for key in ids)
