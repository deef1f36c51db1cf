"""What a tracker asks its process about signed names."""

from typing import Protocol

from strew.content.digest import ArtifactId
from strew.publication import Publication, Signature
from strew.trust.signing import UNSIGNED, Signatory


class Notary(Protocol):
    """Signs what is published here, and judges what was signed elsewhere."""

    @property
    def signatory(self) -> Signatory:
        """The keys names are signed with when they are asked for without a record."""

    def admits(self, publication: Publication) -> bool:
        """Whether a publication is believed; as strew.publication.Admits."""

    def witness(
        self, artifact: ArtifactId, manifest: bytes, signatures: tuple[Signature, ...] = ()
    ) -> None:
        """Keep a manifest's signatures, this process's own if none are given. Hashes all of it.
        IntegrityError if none of the given ones is by a key that is trusted; DiskError."""


class NoNotary:
    """For a tracker in a process without keys, as tests have: names are given unsigned, and
    records from elsewhere are refused."""

    signatory = UNSIGNED

    def admits(self, publication: Publication) -> bool:
        """Nobody is trusted."""
        return False

    def witness(
        self, artifact: ArtifactId, manifest: bytes, signatures: tuple[Signature, ...] = ()
    ) -> None:
        """Nothing is kept."""
