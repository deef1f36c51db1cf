"""Which publications a process believes.

Theory of operation. The operator names *anchors*: public keys, each for the names that match a
pattern. A publication is believed if one of its signatures is by a key that is trusted for its
name, and if it is no older than what was taken of that name before (the *floor*): a true but old
record, played again, is as harmful as a forged one. Without any anchor the member key stands in: it
is derived from the fleet key, so that a fleet on a laptop needs nothing else. Who names anchors
trusts it no more. A revoked key is believed in nothing, whoever trusts it.

Floors are kept by key, and count while that key is trusted. A stolen key may have signed a version
near the end of all numbers; once it is revoked, the true publisher's next version is taken.

Signatures cost 0.3 ms each to check and are heard of many times, so outcomes are remembered.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, NamedTuple

from strew.content.digest import ArtifactId
from strew.content.pattern import matches
from strew.publication import Publication, Signature
from strew.trust import dsse
from strew.trust.keys import KeyId, PublicKey
from strew.trust.record import payload_of

CHECKED_MAX = 32_768
"""Outcomes remembered, some 100 bytes each: two signatures of each of 16,384 names. Lower: a large
fleet's names are checked again and again; higher: a liar's forgeries fill more memory."""

EVERY_NAME = "*"

RefusalKind = Literal["unsigned", "untrusted", "older", "expired"]
"""unsigned: by nobody. untrusted: by no key that is trusted for the name, or wrongly. older: than
what was taken before. expired: no longer good for beginning a fetch."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A key that is trusted for the names that match `pattern`."""

    key: PublicKey
    pattern: str = EVERY_NAME

    def __str__(self) -> str:
        return self.key.text if self.pattern == EVERY_NAME else f"{self.key.text}={self.pattern}"


class Floor(NamedTuple):
    """The highest rank of a name that was taken by a signature of this key."""

    reference: str
    key: KeyId
    version: int
    artifact: ArtifactId


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a publication is not believed; `message` is one line with the name in it."""

    kind: RefusalKind
    message: str


class Trust:
    """See the module. `own` are keys this process signs with by itself and always believes;
    `member` is the stand-in, None where there is to be none."""

    def __init__(
        self,
        anchors: Iterable[Anchor] = (),
        *,
        member: PublicKey | None = None,
        own: Iterable[PublicKey] = (),
        revoked: Collection[KeyId] = (),
    ) -> None:
        self._member = member
        self.own = tuple(own)
        self._floors: dict[str, dict[KeyId, tuple[int, ArtifactId]]] = {}
        self._checked: dict[bytes, bool] = {}
        self.anchors: tuple[Anchor, ...] = ()
        self.revoked: frozenset[KeyId] = frozenset()
        self.change(anchors, revoked)

    def change(self, anchors: Iterable[Anchor], revoked: Collection[KeyId]) -> None:
        """Believe by these anchors from now on, and these keys no more."""
        self.anchors = tuple(anchors)
        self.revoked = frozenset(revoked)
        believed = [*self.anchors, *map(Anchor, self.own)]
        if not self.anchors and self._member is not None:
            believed.append(Anchor(self._member))
        self._by_id: dict[str, list[Anchor]] = {}
        for anchor in believed:
            if anchor.key.id not in self.revoked:
                self._by_id.setdefault(anchor.key.id, []).append(anchor)

    # --- judging ---------------------------------------------------------------------------------

    def admits(self, publication: Publication) -> bool:
        """Whether a publication is believed; as strew.publication.Admits."""
        return self.refusal(publication) is None

    def refusal(self, publication: Publication) -> Refusal | None:
        """Why a publication is not believed; None if it is."""
        reference = publication.reference
        if not publication.signatures:
            return Refusal("unsigned", f"{reference} is not signed")
        if not self.signers(publication):
            by = ", ".join(signature.key for signature in publication.signatures)
            return Refusal(
                "untrusted",
                f"{reference} has no good signature by a key trusted for it; signed as by {by}",
            )
        floor = self._floor_of(reference)
        if floor is not None and _rank(publication) < floor:
            return Refusal(
                "older",
                f"{reference} in version {publication.version} is older than {floor[0]}, "
                "which was taken before",
            )
        return None

    def expiry(self, publication: Publication, now_s: float) -> Refusal | None:
        """Why no fetch by this name may begin at that unix time; None if one may."""
        if not publication.expires_s or now_s < publication.expires_s:
            return None
        return Refusal(
            "expired",
            f"{publication.reference} in version {publication.version} is signed up to unix time "
            f"{publication.expires_s:.0f}, which has passed",
        )

    def signers(self, publication: Publication) -> tuple[KeyId, ...]:
        """The keys trusted for the name whose signature is good."""
        payload = payload_of(publication)
        if payload is None:
            return ()
        return self._good(
            publication.signatures, dsse.NAME_TYPE, payload, reference=publication.reference
        )

    def manifest_signers(
        self, signatures: Iterable[Signature], manifest: bytes
    ) -> tuple[KeyId, ...]:
        """The trusted keys whose signature over a manifest is good, whatever its names."""
        return self._good(signatures, dsse.MANIFEST_TYPE, manifest, reference=None)

    def _good(
        self, signatures: Iterable[Signature], kind: str, payload: bytes, *, reference: str | None
    ) -> tuple[KeyId, ...]:
        found: dict[KeyId, None] = {}
        for signature in signatures:
            for anchor in self._by_id.get(signature.key, ()):
                meant = reference is None or matches(anchor.pattern, reference)
                if meant and self._holds(signature, anchor.key, kind, payload):
                    found[anchor.key.id] = None
        return tuple(found)

    def _holds(self, signature: Signature, key: PublicKey, kind: str, payload: bytes) -> bool:
        asked = sha256(key.raw + signature.value + dsse.pae(kind, payload)).digest()
        known = self._checked.get(asked)
        if known is None:
            known = dsse.holds(signature, key, kind, payload)
            if len(self._checked) >= CHECKED_MAX:
                del self._checked[next(iter(self._checked))]
            self._checked[asked] = known
        return known

    # --- floors ----------------------------------------------------------------------------------

    def floors_of(self, publication: Publication) -> list[Floor]:
        """The floors that taking this publication raises; none if they stand as high. They must be
        safe on disk before a fetch by the name begins, and then be told to `recall`."""
        version, artifact = _rank(publication)
        by_key = self._floors.get(publication.reference, {})
        return [
            Floor(publication.reference, key, version, artifact)
            for key in self.signers(publication)
            if key not in by_key or by_key[key] < (version, artifact)
        ]

    def recall(self, floors: Iterable[Floor]) -> None:
        """Nothing older than these will be believed from now on."""
        for floor in floors:
            by_key = self._floors.setdefault(floor.reference, {})
            rank = (floor.version, floor.artifact)
            by_key[floor.key] = max(rank, by_key.get(floor.key, rank))

    def _floor_of(self, reference: str) -> tuple[int, ArtifactId] | None:
        by_key = self._floors.get(reference, {})
        return max((rank for key, rank in by_key.items() if key in self._by_id), default=None)


def _rank(publication: Publication) -> tuple[int, ArtifactId]:
    """As gossip orders publications of one reference: of equal versions the greater id wins."""
    return (publication.version, publication.artifact)
