"""What a node tells of its transfers for people to see: values, their JSON, and its limits.

Beside the announce, which is what a tracker decides by, and never in its way: a lost one is
replaced by the next, since each tells the state of its moment. The tracker says in its answer when
it wants another, so that a large fleet costs it no more than a small one. Sizes are bytes, times
are seconds.
"""

from enum import IntEnum
from typing import Annotated, Final

import msgspec

from strew.content.manifest import CHUNKS_MAX
from strew.errors import ProtocolError
from strew.publication import ArtifactText, Count, PeerText, ReasonText, Seconds

TELEMETRY_BYTES_MAX: Final = 1 << 20
"""Largest message. A node in sixteen swarms of 8000 chunks tells some 30 kB."""

SWARMS_MAX: Final = 16
"""Artifacts in one message: those under way first, then those that moved last."""

COLUMNS_MAX: Final = 256
"""Columns of the map of chunks: more are narrower than a pixel on most screens, and each costs a
byte for each machine."""

LINKS_MAX: Final = 64
"""Peers in one message, those with the most bytes: a node has some forty neighbours."""

BANS_MAX: Final = 16
EVENTS_MAX: Final = 32
"""The last ones: what is older was told before."""

LINKS_OVER_S: Final = 10.0
"""Links are told with what went over them in so many seconds."""


class Source(IntEnum):
    """Where a chunk came from."""

    MISSING = 0
    ORIGIN = 1
    NEAR = 2
    """A peer of the same zone."""
    FAR = 3
    LOCAL = 4
    """It was on this machine already."""


class Downlink(IntEnum):
    """What keeps a node from receiving as fast as its link would: its state at one moment."""

    STARTING = 0
    """It has no manifest, or no neighbour yet."""
    RECEIVING = 1
    """A chunk is arriving."""
    ASKED = 2
    """It asked for chunks, and none has begun."""
    UNOFFERED = 3
    """Neighbours have what it lacks, and none offers."""
    NOWHERE = 4
    """What it lacks, nobody connected has but an origin, or nobody at all: first copies are due."""
    STORING = 5
    """Its buffers are full: disk or hash are behind."""
    FINISHING = 6
    """Everything is here, and is being put in place."""


class Uplink(IntEnum):
    """What keeps a node from sending as fast as its link would: its state at one moment."""

    SENDING = 0
    """A chunk is leaving."""
    UNWANTED = 1
    """It has nothing that anybody connected lacks."""
    UNANSWERED = 2
    """It has what others lack, and nobody takes it: offers stand, or none was made."""
    LIMITED = 3
    """It waits for a configured rate."""


Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
DownShares = Annotated[tuple[Share, ...], msgspec.Meta(max_length=len(Downlink))]
"""Of the time since the last message, in the order of Downlink."""
UpShares = Annotated[tuple[Share, ...], msgspec.Meta(max_length=len(Uplink))]
ChunkCount = Annotated[int, msgspec.Meta(ge=0, le=CHUNKS_MAX)]
"""A bitfield of more would take memory that nobody has."""

Rate = Annotated[float, msgspec.Meta(ge=0.0, le=1e15)]
TICKS_PER_S: Final = 10_000
"""Times in a Timeline are whole ticks: digits cost bytes, and a tenth of a millisecond is less than
anything that is told of."""

BINS_MAX: Final = 128
"""Bins of a Timeline. More show shorter things; each costs a message some 40 bytes."""

Bins = Annotated[tuple[Count, ...], msgspec.Meta(max_length=BINS_MAX)]
"""One figure for each bin; those that are missing at the end are 0."""

Width = Annotated[float, msgspec.Meta(ge=1e-3, le=1e9)]
"""Seconds of a bin."""

SourcesText = Annotated[str, msgspec.Meta(pattern=r"^[0-4]*\Z", max_length=COLUMNS_MAX)]


class Timeline(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A fetch from its begin to its end, in bins of `width_s`.

    `down_ticks` has a row for each state of Downlink, `up_ticks` for each of Uplink: for how long
    the node was in it. `awaiting_ticks` is the part of RECEIVING in which all else that was missing
    had been with an origin only, or was on its way by push: first copies. `hash_ticks` and
    `write_ticks` is what the store spent. `received_bytes` counts each chunk once, in the bin in
    which it was whole.
    """

    width_s: Width
    elapsed_s: Seconds
    received_bytes: Bins = ()
    duplicate_bytes: Bins = ()
    sent_bytes: Bins = ()
    down_ticks: Annotated[tuple[Bins, ...], msgspec.Meta(max_length=len(Downlink))] = ()
    up_ticks: Annotated[tuple[Bins, ...], msgspec.Meta(max_length=len(Uplink))] = ()
    awaiting_ticks: Bins = ()
    hash_ticks: Bins = ()
    write_ticks: Bins = ()


class SwarmTelemetry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One artifact at one node. Counts are since the fetch began, rates over the last second.

    `have` is a Bitfield in its wire form, of `chunk_count`. `sources` has a digit of Source for
    each column (column k of n is chunks k*count//n to (k+1)*count//n - 1): where most of what is
    here of it came from. `nowhere` counts missing chunks that no neighbour has. `fastest_*` are the
    best rate held for a second: what the link carries, or less. `hash_s` and `write_s` is what the
    store's thread spent. `bad_chunks` came and did not match their digest.
    """

    artifact: ArtifactText
    have: bytes
    chunk_count: ChunkCount
    sources: SourcesText = ""
    origin: bool = False
    received_origin_bytes: Count = 0
    received_near_bytes: Count = 0
    received_far_bytes: Count = 0
    reused_bytes: Count = 0
    duplicate_bytes: Count = 0
    sent_bytes: Count = 0
    bad_chunks: Count = 0
    received_bytes_per_s: Rate = 0.0
    sent_bytes_per_s: Rate = 0.0
    fastest_received_bytes_per_s: Rate = 0.0
    fastest_sent_bytes_per_s: Rate = 0.0
    down: DownShares = ()
    up: UpShares = ()
    neighbours: Count = 0
    nowhere: Count = 0
    hash_s: Seconds = 0.0
    write_s: Seconds = 0.0
    elapsed_s: Seconds = 0.0
    """Since the fetch began, also when it is over; of who never fetched, since it is looked at."""
    failed: bool = False
    timeline: Timeline | None = None
    """Told when the artifact is in its place, or the fetch failed, until it was heard once."""


class LinkTelemetry(msgspec.Struct, frozen=True, array_like=True):
    """Payload from and to one peer in the last LINKS_OVER_S."""

    peer: PeerText
    sent_bytes: Count
    received_bytes: Count


class BanTelemetry(msgspec.Struct, frozen=True, array_like=True):
    """A peer that is not dealt with for `for_s` more."""

    peer: PeerText
    reason: ReasonText
    for_s: Seconds


class NodeEvent(msgspec.Struct, frozen=True, array_like=True):
    """One line of what happened at a node, `ago_s` before the message was made."""

    ago_s: Seconds
    text: ReasonText


class Telemetry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One message. `at_s` is the node's unix time: the tracker compares it with its own."""

    node: PeerText
    at_s: Seconds
    rate_down_bytes_per_s: Rate = 0.0
    rate_up_bytes_per_s: Rate = 0.0
    """What this node is configured to receive and send at most; 0 for no limit."""
    swarms: Annotated[tuple[SwarmTelemetry, ...], msgspec.Meta(max_length=SWARMS_MAX)] = ()
    links: Annotated[tuple[LinkTelemetry, ...], msgspec.Meta(max_length=LINKS_MAX)] = ()
    bans: Annotated[tuple[BanTelemetry, ...], msgspec.Meta(max_length=BANS_MAX)] = ()
    events: Annotated[tuple[NodeEvent, ...], msgspec.Meta(max_length=EVENTS_MAX)] = ()


class TelemetryWanted(msgspec.Struct, frozen=True):
    """The answer: send the next in so many seconds, or at once when something is done or fails.
    While nothing is under way, none is due."""

    next_s: Seconds


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Telemetry)


def encode_telemetry(telemetry: Telemetry) -> bytes:
    """Its JSON; fields at their default are left out."""
    return _encoder.encode(telemetry)


def decode_telemetry(body: bytes) -> Telemetry:
    """Read one strictly. ProtocolError names the field and the rule it breaks. That `have` is a
    bitfield is for those to say who read it."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "both sides should run the same version of strew"
        raise ProtocolError(f"bad telemetry: {error}", hint=hint) from None
    except RecursionError:
        raise ProtocolError("bad telemetry: nested too deep") from None
