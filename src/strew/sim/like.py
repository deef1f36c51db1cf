"""A fleet like one that was recorded: its machines, links, zones, size and chunks, simulated.

What a recording does not know is taken to be in order: links between zones carry everything, and an
uplink that was never full carries what the machine's downlink does. So what a real run lost beyond
its simulation was lost to something that the simulation does not have.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import median
from typing import Final

from strew.errors import UsageError
from strew.sim.fleet import Machine, Terms
from strew.sim.scenarios import Scenario, fluid_bound
from strew.telemetry.recording import RecordedMachine, Recording

LIKE: Final = "like"

SLOWER_RATIO: Final = 0.8
"""Where links are as measured, a machine whose fastest second is below so much of the best one's
has a slower link: others had bad luck."""

LATE_S: Final = 1.0
"""A machine whose fetch began so long after the publication was started late; others only heard of
it late, which the simulation has by itself."""

BUSY_RATIO: Final = 0.8
"""An origin whose uplink was busy for so much of the time has sent what it carries."""


def like(recording: Recording, seed: int) -> tuple[Terms, Scenario]:
    """Terms and scenario of a recorded transfer. UsageError if there is nothing to go by."""
    followers = [m for m in recording.followers if not m.failed]
    links = [machine.link_bytes_per_s for machine in followers if machine.link_bytes_per_s]
    if not links:
        raise UsageError(
            f"the recording of {recording.artifact} has no machine that told its times",
            hint="record a transfer again, with nodes of this version",
        )
    rate = median(links) if recording.link_from == "rate" else max(links)
    zones = sorted({machine.zone for machine in followers})
    made = [_machine(machine, rate, zones, recording) for machine in followers]
    latency_s = recording.latency_s or Terms().latency_s
    terms = Terms(
        nodes=len(followers),
        size_bytes=recording.size_bytes,
        chunks=recording.chunk_count,
        rate_bytes_per_s=rate,
        origin_ratio=_origin_ratio(recording, rate),
        seed=seed,
        racks=max(1, len(zones)),
        rack_ratio=1.0 / max(1, len(zones)),
        latency_s=latency_s,
    )

    def machines(_terms: Terms, into: list[Machine], _dice: random.Random) -> None:
        into[:] = made

    scenario = Scenario(
        meaning=f"as {recording.reference or recording.artifact} was recorded",
        formula="max(F/u_s, F/d, N F/(u_s + all uplinks)), and not before its start",
        bound=fluid_bound,
        machines=machines,
    )
    return terms, scenario


def _machine(
    recorded: RecordedMachine, rate: float, zones: Sequence[str], recording: Recording
) -> Machine:
    down = recorded.rate_down_bytes_per_s / rate or 1.0
    up = recorded.rate_up_bytes_per_s / rate
    if recording.link_from != "rate":
        held = recorded.fastest_received_bytes_per_s / rate
        down = held if 0.0 < held < SLOWER_RATIO else 1.0
        up = min(up, down) if up else down
    late = recorded.begun_s if recorded.begun_s > LATE_S else 0.0
    return Machine(
        up_ratio=up or down,
        down_ratio=down,
        starts_s=late,
        rack=zones.index(recorded.zone),
    )


def _origin_ratio(recording: Recording, rate: float) -> float:
    """What the origins' uplinks carry, in rates of a machine."""
    origins = [machine for machine in recording.machines if machine.origin]
    configured = [machine.rate_up_bytes_per_s for machine in origins]
    if configured and all(configured):
        return sum(configured) / rate
    ticks, busy = sum(recording.fleet.origin_ticks), sum(recording.fleet.origin_busy_ticks)
    fastest = max((machine.fastest_sent_bytes_per_s for machine in origins), default=0.0)
    if fastest and ticks and busy / ticks >= BUSY_RATIO:
        return min(fastest / rate, 1.0)
    return 1.0
