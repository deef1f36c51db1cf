"""Why a machine lags behind, or holds others back: one cause, one line, one remedy.

The clear-cut comes first: it paused, failed, or is silent, and what a probe of it met. Then what it
tells of itself is compared with the middle of its fleet: a machine that is as slow as all others
has no cause of its own. Among causes that fit, the one nearest to the machine is told: bad chunks
before a disk, a disk before a link, a link before the lack of neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from strew.telemetry.protocol import Downlink, SwarmTelemetry, Uplink
from strew.telemetry.view import Cause, MachineState

Probe = Literal["", "refused", "cut-off", "stalled", "answers"]
"""What a probe of a silent machine met: its port is closed; nobody answers the connection; the
connection stands and nothing comes over it; it answers."""

SETTLING_S: Final = 3.0
"""Nothing but silence and pauses is held against a machine before its fetch has run so long: the
first seconds of a transfer are nobody's usual ones."""

STARTING_S: Final = 12.0
"""A machine that follows a name for so long should have begun, and said so: one that only announces
does that every 10 s."""

PEERS_MIN: Final = 2
"""Others whose middle a machine is compared with; with fewer there is no usual."""

SLOW_RATIO: Final = 0.5
"""A link is slow when its best second is below so much of the middle of the others'. Higher:
ordinary differences are told as faults; lower: a machine at 60 % holds all up untold."""

DISK_SHARE: Final = 0.35
"""Of the time: waiting for its own disk, or working for it without pause."""

DISK_BUSY: Final = 0.6
"""Of the time of the fetch: hashing and writing. One thread does it, so that 1 is all there is."""

BAD_CHUNKS_MIN: Final = 2
"""One bad chunk is an accident of a link; two came from somebody who has them so."""

BANNED_BY_PART: Final = 1 / 3
"""Of the machines that tell: whoever is banned by so many of them is at fault more likely than
they."""

RECEIVING_SHARE: Final = 0.6
SENDING_SHARE: Final = 0.5
"""Of the time: a link that is busy so much is what a machine waits for."""

FEW: Final = 2
FEW_RATIO: Final = 0.25
USUAL_MIN: Final = 4
"""Few neighbours: at most two, or so much of the middle of the others', if that is four or more."""

FEW_IDLE_SHARE: Final = 0.3
"""Of the time: who has few neighbours and waits for them so long lacks others."""

BEHIND: Final = 0.02
"""A machine is behind when it lacks so much more of the artifact than the middle of its fleet."""

MB: Final = 1e6


class Verdict(msgspec.Struct, frozen=True):
    """A cause, one line of why, and what strew does about it or an operator can."""

    cause: Cause
    why: str
    remedy: str


FINE = Verdict("", "", "")


@dataclass(frozen=True, slots=True)
class Usual:
    """The middle of a fleet: medians over machines that told something, and how many did."""

    machines: int = 0
    part: float = 0.0
    """Of the artifact, over machines that are to get it."""
    received_bytes_per_s: float = 0.0
    """Of the best second each had."""
    sent_bytes_per_s: float = 0.0
    senders: int = 0
    neighbours: float = 0.0


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of one machine."""

    state: MachineState
    is_origin: bool
    is_over: bool
    """The transfer is: who has it all need not answer any more."""
    reason: str
    silent_s: float
    is_silent: bool
    """For longer than it was asked to be."""
    probe: Probe
    since_s: float
    """How long it could have been fetching."""
    part: float
    down: tuple[float, ...]
    up: tuple[float, ...]
    told: SwarmTelemetry | None
    lost_chunks: int = 0
    """Missing here, and nobody who lives has them."""
    banned_by: int = 0
    ban_reason: str = ""


def diagnose(signs: Signs, usual: Usual) -> Verdict:
    """What is wrong with a machine; FINE if nothing is."""
    if signs.state == "paused":
        why = signs.reason or "its fetch is paused"
        return Verdict("paused", why, "it tries again every few seconds; make room on its disk")
    if signs.state == "failed":
        why = signs.reason or "its fetch failed"
        return Verdict("failed", why, "its log says more; it fetches again when the name is pushed")
    is_done = signs.state == "seeding"
    if not (is_done and (signs.is_over or not signs.is_origin)):
        verdict = _silence(signs)
        if verdict is not FINE:
            return verdict
    if signs.state == "gone":
        return FINE
    if signs.told is None or signs.since_s < SETTLING_S:
        return _beginning(signs)
    if not is_done:
        for judge in (_chunks, _disk, _peers, _downlink):
            verdict = judge(signs, signs.told, usual)
            if verdict is not FINE:
                return verdict
    return _uplink(signs, signs.told, usual)


def _silence(signs: Signs) -> Verdict:
    """A machine that says nothing, by what a probe of it met."""
    if not signs.is_silent and signs.state != "gone":
        return FINE
    silent = f"silent for {signs.silent_s:.0f} s"
    match signs.probe:
        case "refused":
            return Verdict(
                "ended",
                f"{silent}: its process has ended, the port is closed",
                "start it again there; it goes on from what it has",
            )
        case "cut-off":
            return Verdict(
                "cut-off",
                f"{silent}: nothing answers at its address",
                "others send on without it; look at its link, its power and firewalls",
            )
        case "stalled":
            return Verdict(
                "stalled",
                f"{silent}: its port takes connections, and the process answers nothing",
                "its chunks are asked for elsewhere; look at that machine: stopped, swapping, hung",
            )
    if signs.state == "gone" and signs.part < 1.0:
        return Verdict(
            "ended",
            "it left before it had everything",
            "start it again there; it goes on from what it has",
        )
    return FINE


def _beginning(signs: Signs) -> Verdict:
    """A machine that has told nothing of its fetch, or has only begun."""
    is_late = signs.state == "waiting" and signs.since_s >= STARTING_S
    if is_late:
        return Verdict(
            "starting",
            f"it follows the name, and has not begun after {signs.since_s:.0f} s",
            "it asks for news every 30 s at the latest; its log says what keeps it",
        )
    return FINE


def _chunks(signs: Signs, told: SwarmTelemetry, usual: Usual) -> Verdict:
    """Chunks that nobody has; that came and were wrong; peers that do not deal with it."""
    if signs.lost_chunks and _share(signs.down, Downlink.RECEIVING) < RECEIVING_SHARE:
        return Verdict(
            "no-holder",
            f"{signs.lost_chunks} of its missing chunks are on no machine that lives",
            "bring a machine back that has them: the origin, or push the same file again",
        )
    if told.bad_chunks >= BAD_CHUNKS_MIN:
        return Verdict(
            "bad-chunks",
            f"{told.bad_chunks} chunks came to it that do not match their digest",
            "they are fetched again from others, and who sent two is banned: see its bans",
        )
    if signs.banned_by >= 1 and signs.banned_by >= usual.machines * BANNED_BY_PART:
        return Verdict(
            "banned",
            f"{signs.banned_by} machines do not deal with it: {signs.ban_reason}",
            "bans end by themselves after minutes; look at its disk, memory and version",
        )
    return FINE


def _disk(signs: Signs, told: SwarmTelemetry, _usual: Usual) -> Verdict:
    storing = _share(signs.down, Downlink.STORING) + _share(signs.down, Downlink.FINISHING)
    worked_s = told.hash_s + told.write_s
    is_busy = told.elapsed_s >= SETTLING_S and worked_s >= DISK_BUSY * told.elapsed_s
    if storing < DISK_SHARE and not is_busy:
        return FINE
    pace = f"{worked_s:.0f} s of {told.elapsed_s:.0f} s went into hashing and writing"
    waits = f"its buffers were full for {storing:.0%} of the last seconds; " if storing else ""
    return Verdict(
        "slow-disk", f"{waits}{pace}", "others give it less; see `strew doctor` and iostat there"
    )


def _peers(signs: Signs, told: SwarmTelemetry, usual: Usual) -> Verdict:
    """Whether it has too few neighbours, and gets less from them than others from theirs."""
    if usual.machines < PEERS_MIN or usual.neighbours < USUAL_MIN or not _is_behind(signs, usual):
        return FINE
    if told.neighbours > max(FEW, FEW_RATIO * usual.neighbours):
        return FINE
    rate = _now(told, told.fastest_received_bytes_per_s)
    if _idle(signs.down) < FEW_IDLE_SHARE and rate >= SLOW_RATIO * usual.received_bytes_per_s:
        return FINE
    count = {0: "no neighbour", 1: "one neighbour"}.get(
        told.neighbours, f"{told.neighbours} neighbours"
    )
    return Verdict(
        "few-neighbours",
        f"it has {count} where others have {usual.neighbours:.0f}",
        "it dials those it hears of; see that its port is open both ways (strew doctor)",
    )


def _downlink(signs: Signs, told: SwarmTelemetry, usual: Usual) -> Verdict:
    if usual.machines < PEERS_MIN:
        return FINE
    best, middle = told.fastest_received_bytes_per_s, usual.received_bytes_per_s
    receiving = _share(signs.down, Downlink.RECEIVING)
    if (
        _is_behind(signs, usual)
        and receiving >= RECEIVING_SHARE
        and _now(told, best) < SLOW_RATIO * middle
    ):
        rate = _now(told, best)
        return Verdict(
            "slow-down",
            f"it takes {rate / MB:.1f} MB/s where others took {middle / MB:.1f} MB/s at best",
            "others are served before it; look at its link, and at --rate-down there",
        )
    return FINE


def _uplink(signs: Signs, told: SwarmTelemetry, usual: Usual) -> Verdict:
    if usual.senders < PEERS_MIN or signs.is_over:
        return FINE
    best, middle = told.fastest_sent_bytes_per_s, usual.sent_bytes_per_s
    busy = _share(signs.up, Uplink.SENDING) + _share(signs.up, Uplink.LIMITED)
    if told.sent_bytes and busy >= SENDING_SHARE and best < SLOW_RATIO * middle:
        return Verdict(
            "slow-up",
            f"it gives {best / MB:.1f} MB/s at best where others gave {middle / MB:.1f} MB/s",
            "it is given less to pass on; look at its link, and at --rate-up there",
        )
    return FINE


def _now(told: SwarmTelemetry, best: float) -> float:
    """How fast it receives: its best second, unless it has become much slower since."""
    mean = (told.received_origin_bytes + told.received_near_bytes + told.received_far_bytes) / max(
        told.elapsed_s, 1.0
    )
    return min(best, max(told.received_bytes_per_s, mean))


def _is_behind(signs: Signs, usual: Usual) -> bool:
    return signs.part < usual.part - BEHIND or usual.part >= 1.0


def _idle(down: tuple[float, ...]) -> float:
    waiting = (Downlink.STARTING, Downlink.ASKED, Downlink.UNOFFERED, Downlink.NOWHERE)
    return sum(_share(down, of) for of in waiting)


def _share(shares: tuple[float, ...], of: Downlink | Uplink) -> float:
    return shares[of] if of < len(shares) else 0.0
