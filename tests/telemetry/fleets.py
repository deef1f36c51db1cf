"""Short ways to write what machines tell, in tests of recordings."""

from __future__ import annotations

from strew.content.bitfield import Bitfield
from strew.content.digest import ArtifactId
from strew.messages import PeerId
from strew.publication import Publication
from strew.telemetry.protocol import (
    TICKS_PER_S,
    Downlink,
    SwarmTelemetry,
    Telemetry,
    Timeline,
    Uplink,
)
from strew.telemetry.recorder import Recorder, Who

ARTIFACT = "blake3:" + "1" * 64
CHUNKS = 4
SIZE_BYTES = 1000
PUBLISHED = 1_000_000.0
RATE = 100.0
SPREAD = Publication(
    reference="app:1",
    artifact=ArtifactId(ARTIFACT),
    version=1,
    size_bytes=SIZE_BYTES,
    chunk_count=CHUNKS,
    published_s=PUBLISHED,
    name="app.bin",
)
WIDTH_S = 1.0
SECOND = TICKS_PER_S


def peer(number: int) -> PeerId:
    return PeerId(f"{number:032x}")


def who(number: int, zone: str = "") -> Who:
    return Who(peer(number), f"10.0.0.{number}", 7000 + number, zone)


def told(number: int, swarm: SwarmTelemetry, *, rate: float = RATE) -> Telemetry:
    return Telemetry(
        node=peer(number),
        at_s=PUBLISHED,
        rate_down_bytes_per_s=rate,
        rate_up_bytes_per_s=rate,
        swarms=(swarm,),
    )


def timeline(states: list[Downlink], received: tuple[int, ...] = ()) -> Timeline:
    """One state a second; the uplink sends in the last half of it all."""
    half = len(states) // 2
    up = [()] * len(Uplink)
    up[Uplink.UNWANTED] = (SECOND,) * half  # type: ignore[call-overload]
    up[Uplink.SENDING] = (0,) * half + (SECOND,) * (len(states) - half)  # type: ignore[call-overload]
    return Timeline(
        width_s=WIDTH_S,
        elapsed_s=float(len(states)),
        received_bytes=received,
        down_ticks=tuple(tuple(SECOND if of is s else 0 for of in states) for s in Downlink),
        up_ticks=tuple(up),
        sent_bytes=(0,) * half + (50,) * (len(states) - half),
    )


def done(
    states: list[Downlink], received: tuple[int, ...], *, ago_s: float = 0.0, **more: object
) -> SwarmTelemetry:
    """The message of who is done, so long ago."""
    of = timeline(states, received)
    fields: dict[str, object] = {
        "received_near_bytes": sum(received),
        "sent_bytes": sum(of.sent_bytes),
        "elapsed_s": of.elapsed_s + ago_s,
        "up": (0.0, 1.0, 0.0, 0.0) if ago_s else (),
        **more,
    }
    return SwarmTelemetry(
        artifact=ARTIFACT,
        have=Bitfield.full(CHUNKS).to_wire(),
        chunk_count=CHUNKS,
        timeline=of,
        **fields,  # type: ignore[arg-type]
    )


def origin(sent_bytes: int, up: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0)) -> SwarmTelemetry:
    return SwarmTelemetry(
        artifact=ARTIFACT,
        have=Bitfield.full(CHUNKS).to_wire(),
        chunk_count=CHUNKS,
        origin=True,
        sent_bytes=sent_bytes,
        up=up,
        elapsed_s=1e6,
    )


def fetching(have: int = 1) -> SwarmTelemetry:
    return SwarmTelemetry(
        artifact=ARTIFACT, have=Bitfield(CHUNKS, have).to_wire(), chunk_count=CHUNKS, elapsed_s=1.0
    )


def recorded_fleet() -> Recorder:
    """An origin and two machines: the second was done last, 13 s after the publication."""
    recorder = Recorder(SPREAD)
    receiving, nowhere = Downlink.RECEIVING, Downlink.NOWHERE
    for second in range(1, 14):
        swarm = origin(100 * min(second, 10), (1.0, 0.0) if second <= 10 else (0.0, 1.0))
        recorder.heard(who(0), told(0, swarm), swarm, PUBLISHED + second)
    first = done([receiving] * 10, (100,) * 10)
    recorder.heard(who(1, "a"), told(1, first), first, PUBLISHED + 11.0)
    second_ = done([nowhere, nowhere, *[receiving] * 10], (0, 0, *[100] * 10), ago_s=2.0)
    recorder.heard(who(2, "b"), told(2, second_), second_, PUBLISHED + 15.0)
    return recorder
