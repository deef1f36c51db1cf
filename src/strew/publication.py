"""Publication: a name given to an artifact, as every source of peers tells it.

Beside it stand the types of the fields that come from outside, with their limits: trackers, gossip
and dashboards read the same ones. Sizes are bytes, times are seconds.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec

from strew.content.digest import ArtifactId
from strew.content.reference import NAME_MAX_CHARS, TAG_MAX_CHARS
from strew.messages import PeerId

HoldingState = Literal["seeding", "fetching", "paused", "failed"]
"""What becomes of an artifact at a node. `seeding`: all of it is there and in its place."""

REFERENCE_CHARS_MAX = NAME_MAX_CHARS + 1 + TAG_MAX_CHARS
PATTERN_CHARS_MAX = REFERENCE_CHARS_MAX
"""A pattern has no reason to be longer than what it may match."""

COUNT_MAX = (1 << 63) - 1
"""Largest number in a message: what an SQLite column holds."""

ArtifactText = Annotated[ArtifactId, msgspec.Meta(pattern=r"^blake3:[0-9a-f]{64}\Z", max_length=71)]
PeerText = Annotated[PeerId, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z", max_length=32)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]
ZoneText = Annotated[str, msgspec.Meta(max_length=64)]
HostText = Annotated[str, msgspec.Meta(max_length=64)]
ReasonText = Annotated[str, msgspec.Meta(max_length=256)]
PatternText = Annotated[str, msgspec.Meta(min_length=1, max_length=PATTERN_CHARS_MAX)]
ReferenceText = Annotated[str, msgspec.Meta(min_length=3, max_length=REFERENCE_CHARS_MAX)]
"""``NAME:TAG``; see strew.content.reference for the rule of its two parts."""

Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=1e12)]

SIGNATURES_MAX = 4
"""Of one publication: a publisher's and the member key's, and as many again while a key is being
replaced. More would not fit a datagram beside a long name."""

KeyIdText = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z", max_length=16)]
"""The first 16 hex digits of a public key's SHA-256."""


class Signature(msgspec.Struct, frozen=True, array_like=True):
    """By whom, and the 64 bytes of Ed25519. `key` is a hint where to look: it proves nothing."""

    key: KeyIdText
    value: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


Signatures = Annotated[tuple[Signature, ...], msgspec.Meta(max_length=SIGNATURES_MAX)]


class Publication(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A name given to an artifact.

    `version` is the place in the tracker's catalogue: unix milliseconds, made to grow with every
    publication of any reference. A node keeps the highest version of each reference it saw and
    refuses lower ones; since the clock stands behind it, a tracker that lost its state goes on
    above what it gave out before. `name` is the published file's or folder's name. From `expires_s`
    (unix time; 0: never) on no fetch by the name begins. `signatures` are over all other fields;
    see strew.trust.record.
    """

    reference: ReferenceText
    artifact: ArtifactText
    version: Count
    size_bytes: Count
    chunk_count: Count
    published_s: Seconds
    name: Annotated[str, msgspec.Meta(max_length=255)]
    expires_s: Seconds = 0.0
    signatures: Signatures = ()


Admits = Callable[[Publication], bool]
"""Whether a publication is to be believed. What is not is neither kept nor passed on."""


def admit_all(_publication: Publication) -> bool:
    """For worlds without liars: simulations."""
    return True
