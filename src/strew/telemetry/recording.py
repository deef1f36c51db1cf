"""Recording: what is kept of one transfer to a whole fleet, for its report and for its simulation.

One JSON document: the facts, each machine in a row with its seconds by cause, what the fleet's
uplinks did, and the timeline of the machine that was last. Times are seconds since the publication
unless they are named unix.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from strew.errors import ProtocolError
from strew.publication import (
    ArtifactText,
    Count,
    HostText,
    PeerText,
    ReferenceText,
    Seconds,
    ZoneText,
)
from strew.telemetry.causes import CAUSES
from strew.telemetry.protocol import TICKS_PER_S, Rate, Timeline, Uplink, Width

RECORDING_BYTES_MAX: Final = 8 << 20
"""Largest recording: MACHINES_MAX rows of some 500 bytes, and the rest."""

MACHINES_MAX: Final = 8192
"""Machines of a recording; of a larger fleet those that were heard first."""

FLEET_BINS_MAX: Final = 256
"""Steps of time in which a fleet's uplinks are kept."""

FleetBins = Annotated[tuple[Count, ...], msgspec.Meta(max_length=FLEET_BINS_MAX)]
Lost = Annotated[
    tuple[Annotated[float, msgspec.Meta(ge=-1e9, le=1e12)], ...],
    msgspec.Meta(max_length=len(CAUSES)),
]


LinkFrom = Literal["rate", "measured", ""]
"""How the rate of links is known: as configured, or as the fastest second of any machine."""


Kind = Literal["fleet", "sim", "lab"]
"""What was recorded: real machines, virtual ones, or the lab's."""


class RecordedMachine(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One machine. `begun_s` is when its fetch began, `done_s` when its file was in place (None:
    it is not), rates 0 where none is configured; `lost_s` by cause, in the order of Cause; empty
    where no timeline was heard."""

    id: PeerText
    host: HostText = ""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    zone: ZoneText = ""
    origin: bool = False
    held: bool = False
    """It had all of it from the start, and sent to others."""
    failed: bool = False
    begun_s: Seconds = 0.0
    done_s: Seconds | None = None
    rate_down_bytes_per_s: Rate = 0.0
    rate_up_bytes_per_s: Rate = 0.0
    fastest_received_bytes_per_s: Rate = 0.0
    fastest_sent_bytes_per_s: Rate = 0.0
    received_origin_bytes: Count = 0
    received_near_bytes: Count = 0
    received_far_bytes: Count = 0
    reused_bytes: Count = 0
    duplicate_bytes: Count = 0
    sent_bytes: Count = 0
    bad_chunks: Count = 0
    link_bytes_per_s: Rate = 0.0
    """The rate that `lost_s` is counted against."""
    lost_s: Lost = ()

    @property
    def is_measured(self) -> bool:
        """Whether it is known what its time went to."""
        whole = len(self.lost_s) == len(CAUSES) and self.done_s is not None
        return whole and self.link_bytes_per_s > 0.0

    @property
    def fetched_bytes(self) -> int:
        """Payload that came to it from others, each chunk once."""
        return self.received_origin_bytes + self.received_near_bytes + self.received_far_bytes


class FleetTimeline(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What all machines' uplinks did, the origin's too, in steps of `width_s`: time in each state
    of Uplink, in ticks, and payload."""

    width_s: Width = 1.0
    up_ticks: Annotated[tuple[FleetBins, ...], msgspec.Meta(max_length=len(Uplink))] = ()
    sent_bytes: FleetBins = ()
    origin_ticks: FleetBins = ()
    """Time of origins that was looked at."""
    origin_busy_ticks: FleetBins = ()
    origin_sent_bytes: FleetBins = ()

    def up_s(self) -> tuple[float, ...]:
        """All time in each state of Uplink."""
        rows = [sum(row) / TICKS_PER_S for row in self.up_ticks]
        return (*rows, *([0.0] * (len(Uplink) - len(rows))))


class Recording(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """See the module. `kind` says what it was of; `partial` why it is not whole, empty if it is.
    `bound_s` is the least time for the last machine, where it is known better than by formula."""

    artifact: ArtifactText
    reference: ReferenceText | Literal[""] = ""
    name: Annotated[str, msgspec.Meta(max_length=255)] = ""
    kind: Kind = "fleet"
    size_bytes: Count
    chunk_count: Count
    published_unix_s: Seconds
    latency_s: Seconds = 0.0
    link_from: LinkFrom = ""
    bound_s: Seconds | None = None
    machines: Annotated[tuple[RecordedMachine, ...], msgspec.Meta(max_length=MACHINES_MAX)] = ()
    fleet: FleetTimeline = FleetTimeline()
    last: Timeline | None = None
    partial: Annotated[str, msgspec.Meta(max_length=256)] = ""

    @property
    def followers(self) -> list[RecordedMachine]:
        """Those that were to fetch it."""
        return [machine for machine in self.machines if not (machine.origin or machine.held)]

    @property
    def last_machine(self) -> RecordedMachine | None:
        """The one that was done last; None if none is."""
        done = [machine for machine in self.followers if machine.done_s is not None]
        return max(done, key=lambda machine: machine.done_s or 0.0, default=None)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Recording)


def encode_recording(recording: Recording) -> bytes:
    """Its JSON; fields at their default are left out."""
    return _encoder.encode(recording)


def decode_recording(body: bytes) -> Recording:
    """Read one strictly. ProtocolError names the field and the rule it breaks."""
    if len(body) > RECORDING_BYTES_MAX:
        raise ProtocolError(f"recording of more than {RECORDING_BYTES_MAX} bytes")
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"bad recording: {error}") from None
    except RecursionError:
        raise ProtocolError("bad recording: nested too deep") from None
