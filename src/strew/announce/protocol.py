"""The messages between a node and a tracker, as values and as JSON.

A node tells its whole state in every announce, so a tracker that lost everything is repaired by
one announce of each node. All limits are checked when a message is decoded; a message built in
this process is trusted. Ids are text, sizes are bytes, times are seconds.
"""

from typing import Annotated, TypeVar

import msgspec

from strew.errors import ProtocolError
from strew.publication import (
    ArtifactText,
    Count,
    HoldingState,
    HostText,
    PatternText,
    PeerText,
    Port,
    Publication,
    ReasonText,
    Seconds,
    ZoneText,
)

CONTROL_BODY_BYTES_MAX = 1 << 20
"""Largest request, and largest answer that is no list."""

HANDOUT_BYTES_MAX = 8 << 20
"""Largest handout. One of 10,000 peers, an origin's, is about 1 MB."""

INLINE_MANIFEST_BYTES_MAX = 16 << 10
"""Largest manifest sent inside a handout: spares a small artifact one round trip, and keeps the
answer to a crowd of 1000 nodes under 20 MB in all."""

HOLDINGS_MAX = 1024
"""Artifacts one node may report: at 500 bytes each they stay under half the control body."""

WANTS_MAX = 64
"""Artifacts one announce may ask peers for; a node fetches a handful at a time."""

FOLLOWS_MAX = 64
"""Patterns one node may follow; each is matched against each publication it has not seen."""

PUBLICATIONS_MAX = 256
"""Publications in one handout, about 80 kB; a node that lacks more asks again."""

PEERS_MAX = 10_000
"""Peers of one artifact in one handout: an origin's, who deals to all of the fleet. As many as a
push plan can name: whoever is not in the first one has to wait for the next."""

_SAME_VERSION = "both sides should run the same version of strew"


class Peer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The address of a node we know of. `host` is an IP literal, never a name. `complete`: in a
    handout, that it holds all of the artifact it is named for."""

    id: PeerText
    host: HostText
    port: Port
    zone: ZoneText = ""
    complete: bool = False


class Holding(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What one node has of one artifact, and what it cost.

    `have_chunks` counts chunks whose digest was checked and which are stored. `origin` says that
    this node published the artifact. `received_bytes` counts payload from other nodes,
    `received_origin_bytes` the part of it that came from the origin, `duplicate_bytes` the part
    that was thrown away, `sent_bytes` payload to others; all since the fetch began. `reason` is
    one line for people, of a paused or failed fetch.
    """

    artifact: ArtifactText
    have_chunks: Count
    chunk_count: Count
    state: HoldingState
    origin: bool = False
    received_bytes: Count = 0
    received_origin_bytes: Count = 0
    duplicate_bytes: Count = 0
    sent_bytes: Count = 0
    reason: ReasonText = ""

    @property
    def complete(self) -> bool:
        """Whether the node holds every chunk (an empty file has none and is always complete)."""
        return self.state == "seeding" and self.have_chunks == self.chunk_count


class Announce(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A node's whole state, and what it asks for.

    `follows` are patterns over references (``app:*``). `wants` are artifacts to send peers for,
    dearest first. `seen` is the `seen` of the last handout of this same tracker, 0 at first and
    after `follows` changed. `leaving` ends the lease at once. `host` is believed only from a
    process on the tracker's own machine: everybody else has the address of its connection.
    """

    node: PeerText
    port: Port
    zone: ZoneText = ""
    follows: Annotated[tuple[PatternText, ...], msgspec.Meta(max_length=FOLLOWS_MAX)] = ()
    holdings: Annotated[tuple[Holding, ...], msgspec.Meta(max_length=HOLDINGS_MAX)] = ()
    wants: Annotated[tuple[ArtifactText, ...], msgspec.Meta(max_length=WANTS_MAX)] = ()
    seen: Count = 0
    leaving: bool = False
    host: HostText = ""


class Handout(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The answer to an announce.

    The node must announce again within `interval_s`; after `lease_s` without one it is forgotten.
    `peers` has an entry for each wanted artifact, and for each artifact of `publications`.
    `publications` are those above the announced `seen` that the node follows, lowest version
    first; `manifests` holds the small ones of their manifests. The next announce to this tracker
    should carry `seen`.
    """

    lease_s: Seconds
    interval_s: Seconds
    seen: Count
    peers: dict[ArtifactText, Annotated[tuple[Peer, ...], msgspec.Meta(max_length=PEERS_MAX)]] = {}
    publications: Annotated[tuple[Publication, ...], msgspec.Meta(max_length=PUBLICATIONS_MAX)] = ()
    manifests: dict[ArtifactText, bytes] = {}


_encoder = msgspec.json.Encoder()
_announce_decoder = msgspec.json.Decoder(Announce)
_handout_decoder = msgspec.json.Decoder(Handout)

_Message = TypeVar("_Message")


def encode(message: Announce | Handout | Publication) -> bytes:
    """The JSON form of a message; fields at their default are left out."""
    return _encoder.encode(message)


def decode_announce(body: bytes) -> Announce:
    """Read an announce strictly. ProtocolError names the field and the rule it breaks."""
    return decoded(body, _announce_decoder, "announce")


def decode_handout(body: bytes) -> Handout:
    """Read a handout strictly. ProtocolError names the field and the rule it breaks."""
    return decoded(body, _handout_decoder, "handout")


def decoded(body: bytes, decoder: msgspec.json.Decoder[_Message], what: str) -> _Message:
    """Read any JSON from outside; ProtocolError says that it is a bad `what`, and why."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"bad {what}: {error}", hint=_SAME_VERSION) from None
    except RecursionError:
        raise ProtocolError(f"bad {what}: nested too deep", hint=_SAME_VERSION) from None
