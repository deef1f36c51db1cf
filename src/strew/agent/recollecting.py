"""The recording of a transfer where no tracker heard of it: members are asked how theirs went."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from strew.agent.client import NodeClient
from strew.content.digest import ArtifactId
from strew.content.reference import Address
from strew.errors import NotFoundError, StrewError
from strew.gossip.protocol import Member
from strew.publication import Publication
from strew.telemetry.protocol import SwarmTelemetry, Telemetry
from strew.telemetry.recorder import Recorder, Who
from strew.telemetry.recording import Recording

if TYPE_CHECKING:
    from strew.agent.agent import Agent

MEMBERS_MAX: Final = 256
"""Members asked; of a larger fleet so many, of which the slow ones are as likely as others."""

ASKED_AT_ONCE: Final = 16
"""Of these at one time: each is a connection and an answer of some 10 kB."""

UNTOLD: Final = "members were asked, and tell what their uplinks did until they were done"


async def recollected(agent: Agent, publication: Publication, members: list[Member]) -> Recording:
    """Ask members how the fetch of an artifact went. NotFoundError if none can tell."""
    artifact, recorder = publication.artifact, Recorder(publication)
    turns = asyncio.Semaphore(ASKED_AT_ONCE)

    async def ask(member: Member) -> None:
        assert agent.session is not None
        address = Address(member.host, member.port)
        client = NodeClient(agent.session, address, agent.key, tls=agent.tls_met)
        try:
            async with turns:
                swarm = (await client.transfer(artifact)).telemetry
            if swarm is not None and swarm.timeline is not None:
                _hear(recorder, member, swarm)
        except StrewError:
            return  # it did not fetch it, or is not there: what it would say is missing

    own = own_telemetry(agent, artifact)
    asked = [member for member in members if member.id != agent.identity.node]
    if own is not None and own.timeline is not None:
        me = next((member for member in members if member.id == agent.identity.node), None)
        if me is not None:
            _hear(recorder, me, own)
    await asyncio.gather(*map(ask, asked[:MEMBERS_MAX]))
    if recorder.is_empty:
        raise NotFoundError(
            f"no member that is known fetched {artifact} in its present life",
            hint="a node remembers its transfers as long as its process lives",
        )
    return await asyncio.to_thread(recorder.taken(UNTOLD).recording)


def _hear(recorder: Recorder, member: Member, swarm: SwarmTelemetry) -> None:
    telemetry = Telemetry(node=member.id, at_s=0.0, swarms=(swarm,))
    who = Who(member.id, member.host, member.port, member.zone)
    recorder.heard(who, telemetry, swarm, time.time())


def own_telemetry(agent: Agent, artifact: ArtifactId) -> SwarmTelemetry | None:
    """What this node can tell of one artifact, its timeline among it; None if nothing."""
    course = agent.sampler.courses.get(artifact)
    have = agent.sampler.have(artifact)
    if course is None or have is None:
        return None
    return course.telemetry(agent.now(), have, timeline=True, takes=False)
