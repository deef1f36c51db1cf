"""Posture: what keeps a node from moving more of one artifact, at one moment."""

from __future__ import annotations

from strew.swarm.offers import Offers
from strew.swarm.serving import Serving
from strew.swarm.state import SwarmState
from strew.telemetry.protocol import Downlink
from strew.telemetry.timeline import Posture


def posture_of(state: SwarmState, offers: Offers, serving: Serving, now: float) -> Posture:
    """See strew.telemetry.protocol for the states.

    What may still come by push counts as nowhere to be had: nobody is to be asked for it.
    """
    up = serving.uplink(now)
    if state.have.complete:
        return Posture(Downlink.FINISHING, up)
    missing = state.have.bits ^ ((1 << len(state.lengths)) - 1)
    nowhere = state.availability.held_by(0, missing).bit_count()
    elsewhere = missing & state.mates_held
    elsewhere ^= elsewhere & (state.in_flight | state.young(now))
    awaiting = not elsewhere
    return Posture(offers.downlink(awaiting), up, nowhere, awaiting)
