"""Watch: looks at a simulated fleet as agents look at themselves, and records its transfer.

It only reads: a run that is watched takes the same course, event for event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strew.content.bitfield import Bitfield
from strew.messages import swarm_key_of
from strew.sim.fleet import ARTIFACT, Fleet, Machine
from strew.sim.tracker import EPOCH_S
from strew.telemetry.course import LOOK_S, Course
from strew.telemetry.protocol import Downlink, Source, Telemetry, Uplink
from strew.telemetry.recorder import Recorder, Who
from strew.telemetry.recording import Recording
from strew.telemetry.timeline import Posture

if TYPE_CHECKING:
    from strew.node.participation import Participation
    from strew.sim.peers import SimPeer

LOOKS_PER_LINE_MIN: Final = 200
"""Looks in F/B, where that is short: a file that takes a tenth of a second is looked at too."""

TELL_EVERY_LOOKS: Final = 4
"""A machine that is done tells what its uplink does at every so many looks."""

KEY = swarm_key_of(ARTIFACT)


class Watch:
    """Made before the fleet spreads; `recording` when it has."""

    def __init__(self, fleet: Fleet) -> None:
        terms = fleet.terms
        self._fleet = fleet
        self._recorder = Recorder(fleet.publication)
        self._look_s = min(LOOK_S, terms.size_bytes / terms.rate_bytes_per_s / LOOKS_PER_LINE_MIN)
        self._looks = 0
        origin = Machine(up_ratio=terms.origin_ratio, down_ratio=terms.origin_ratio)
        self._machines = dict(
            zip(
                [fleet.origin.id, *(p.id for p in fleet.peers)],
                [origin, *fleet.machines],
                strict=True,
            )
        )
        self._courses = {
            peer.id: Course(ARTIFACT, max(0.0, peer.started_s), fetches=peer is not fleet.origin)
            for peer in (fleet.origin, *fleet.peers)
        }
        fleet.on_done = self._done
        fleet.world.at(self._look_s, self._look)

    def _look(self) -> None:
        fleet = self._fleet
        now = fleet.world.now
        self._looks += 1
        tells = self._looks % TELL_EVERY_LOOKS == 0
        for peer in (fleet.origin, *fleet.peers):
            if peer.alive and peer.started_s < now:
                course = self._courses[peer.id]
                self._look_at(peer, course, now)
                if tells and course.ended_s is not None:
                    self._tell(peer, course)
        fleet.world.at(now + self._look_s, self._look)

    def _look_at(self, peer: SimPeer, course: Course, now: float) -> None:
        part = peer.node.participations.get(KEY)
        if part is None:
            course.look(now, Posture(Downlink.STARTING, Uplink.UNWANTED))
            return
        _count(course, part)
        course.look(now, part.swarm.posture(now))

    def _done(self, peer: SimPeer) -> None:
        course, part = self._courses[peer.id], peer.node.participations[KEY]
        _count(course, part)
        now = self._fleet.world.now
        course.end(now, part.swarm.posture(now), failed=False)
        self._tell(peer, course)

    def _tell(self, peer: SimPeer, course: Course) -> None:
        now, machine = self._fleet.world.now, self._machines[peer.id]
        have = Bitfield.full(len(self._fleet.lengths))
        swarm = course.telemetry(now, have, timeline=not course.told)
        course.told = True
        rate = self._fleet.terms.rate_bytes_per_s
        told = Telemetry(
            node=peer.id,
            at_s=EPOCH_S + now,
            rate_down_bytes_per_s=rate * machine.down_ratio,
            rate_up_bytes_per_s=rate * machine.up_ratio,
            swarms=(swarm,),
        )
        who = Who(peer.id, *peer.address, peer.node.zone)
        self._recorder.heard(who, told, swarm, EPOCH_S + now)

    def recording(self, bound_s: float) -> Recording:
        """What it came to, with what no schedule can beat."""
        for peer in (self._fleet.origin, *self._fleet.peers):
            course = self._courses[peer.id]
            if peer.alive and course.ended_s is not None:
                self._look_at(peer, course, self._fleet.world.now)
                self._tell(peer, course)
        latency_s = self._fleet.terms.latency_s
        return self._recorder.taken(kind="sim", bound_s=bound_s, latency_s=latency_s).recording()


def _count(course: Course, part: Participation) -> None:
    traffic = part.swarm.traffic()
    course.origin = part.origin
    course.duplicate_bytes = traffic["duplicate_bytes"]
    course.sent_bytes = traffic["sent_bytes"]
    from_origin = traffic["received_origin_bytes"]
    near = sum(n.received_bytes for n in part.swarm.neighbours.values() if n.near and not n.origin)
    course.by_source[Source.ORIGIN] = from_origin
    course.by_source[Source.NEAR] = min(near, traffic["received_bytes"] - from_origin)
    course.by_source[Source.FAR] = (
        traffic["received_bytes"] - from_origin - course.by_source[Source.NEAR]
    )
