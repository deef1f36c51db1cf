"""What a node knows of its fleet without a centre, told in the words of a tracker's API.

Commands and dashboards ask any node what they would ask a tracker, and read the same reports: of
members, as gossip knows them, of what each of them holds, and of the names that were given. What a
tracker would add, how many bytes each member moved, is not told by gossip.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from strew.agent.client import NodeClient
from strew.agent.recollecting import recollected
from strew.announce.allowance import full_allowance
from strew.announce.naming import misfit
from strew.announce.protocol import Holding, Peer
from strew.announce.records import ArtifactFacts, NodeRecord, TrackedHolding
from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.content.reference import Address
from strew.errors import DeniedError, NotFoundError, StrewError, UnavailableError
from strew.gossip.gossip import Gossip
from strew.gossip.protocol import Held, Member
from strew.messages import PeerId, SwarmKey, swarm_key_of
from strew.node import PublishedHere
from strew.publication import Publication
from strew.telemetry.recording import Recording
from strew.tracker.problem import refusal_of_decision
from strew.tracker.reports import (
    ArtifactReport,
    NodeReport,
    PublishRequest,
    SwarmReport,
    artifact_report,
    node_report,
    swarm_report,
    untrusted_record,
)
from strew.trust import dsse

if TYPE_CHECKING:
    from strew.agent.agent import Agent

MS_PER_S = 1000.0

LOOKS_APART_S = 2.0
"""Whoever is found done after a longer pause between two looks was so at an unknown moment.
Lower: a slow asker sees no times; higher: times are wrong by as much."""

RECALLED_S = 5.0
"""Members are asked for one recording at most so often, whoever wants it how often."""

HOLDERS_ASKED_MAX = 3
"""Members asked for a manifest, one after another; what is known of them is seconds old."""


class Directory:
    """Looks at the agent's node whenever it is asked; keeps only when each member's fetch ended,
    as far as it was looked at then."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._done_s: dict[tuple[PeerId, int], float | None] = {}
        self._looked_s: dict[int, float] = {}
        """When each swarm was looked at last, or before that was published."""
        self._recalled: dict[ArtifactId, tuple[float, asyncio.Future[Recording]]] = {}
        """Since when members are asked for recordings, and what they say."""

    # --- names -----------------------------------------------------------------------------------

    def names(self) -> list[Publication]:
        """All that members told of, oldest publication first; none where there is no gossip."""
        node = self._agent.node
        if node is None or node.gossip is None:
            return []
        told = [named.publication for named in node.gossip.names()]
        return sorted(told, key=lambda publication: publication.version)

    def resolve(self, reference: str) -> Publication:
        """What NAME:TAG names. NotFoundError."""
        for publication in self.names():
            if publication.reference == reference:
                return publication
        raise NotFoundError(f"no artifact is named {reference}", hint="see `strew ls`")

    def publish(self, reference: str, asked: PublishRequest) -> Publication:
        """Give an artifact that this node is the origin of a name, and have all members hear of it;
        of a draft nobody hears.

        UnavailableError while the node does not hold all of it; DeniedError if this node would not
        itself believe the name, which others then need not either.
        """
        artifact = asked.artifact
        manifest = self._agent.manifests.get(swarm_key_of(artifact))
        assert self._agent.node is not None
        part = self._agent.node.participations.get(swarm_key_of(artifact))
        if manifest is None or part is None or not part.swarm.have.complete:
            raise UnavailableError(f"{artifact} is not here yet", hint="push it to this node first")
        trusting, names, now_s = self._agent.trusting, self.names(), time.time()
        if asked.record is not None:
            publication = asked.record
            if not trusting.admits(publication):
                raise untrusted_record(reference)
            last = max((of.version for of in names if of.reference == reference), default=0)
            refused = misfit(publication, _facts_of(manifest, None), last, now_s)
            if refused is not None and publication not in names:
                raise refusal_of_decision(refused)
        else:
            for known in names:
                is_it = (known.reference, known.artifact) == (reference, artifact)
                if is_it and not asked.draft and trusting.signatory.stands(known, now_s):
                    return known
            publication = self._draft(reference, manifest, names, now_s)
            if asked.draft:
                return publication
            publication = trusting.signatory.sign(publication, now_s)
            if not trusting.admits(publication):
                raise DeniedError(
                    f"this node cannot sign {reference} so that it would believe it itself",
                    hint="push with --sign-with and the key of a publisher it trusts",
                )
        self._agent.tell(PublishedHere(publication))
        return publication

    def _draft(
        self, reference: str, manifest: Manifest, names: list[Publication], now_s: float
    ) -> Publication:
        last = names[-1].version if names else 0
        return Publication(
            reference=reference,
            artifact=manifest.id,
            version=max(int(now_s * MS_PER_S), last + 1),
            size_bytes=manifest.size_bytes,
            chunk_count=manifest.chunk_count,
            published_s=now_s,
            name=manifest.name,
        )

    # --- who is there ----------------------------------------------------------------------------

    def nodes(self) -> list[NodeReport]:
        """Members that live, this one first."""
        now = time.time()
        artifacts = {swarm_key_of(p.artifact): p.artifact for p in self.names()}
        return [node_report(record, now) for record in self._records(artifacts)]

    def artifacts(self) -> list[ArtifactReport]:
        """Artifacts that have a name, and those this node holds."""
        facts = {publication.artifact: _facts(publication) for publication in self.names()}
        for manifest in self._agent.manifests.values():
            facts[manifest.id] = _facts_of(manifest, facts.get(manifest.id))
        return [artifact_report(of, self._names_of(of.artifact)) for of in facts.values()]

    def artifact(self, artifact: ArtifactId) -> ArtifactReport:
        """One of them. NotFoundError."""
        for report in self.artifacts():
            if report.artifact == artifact:
                return report
        raise NotFoundError(f"nothing is known of {artifact}")

    async def manifest(self, artifact: ArtifactId) -> bytes:
        """The manifest of an artifact that this node does not hold, from a member that does.
        NotFoundError."""
        for client in self._holders_of(artifact):
            with contextlib.suppress(StrewError):
                return await client.held_manifest(artifact)
        raise NotFoundError(f"no member that is known has the manifest of {artifact}")

    async def envelope(self, artifact: ArtifactId) -> dsse.Opened:
        """The same with the signatures over it. NotFoundError."""
        for client in self._holders_of(artifact):
            with contextlib.suppress(StrewError):
                return await client.held_envelope(artifact)
        raise NotFoundError(f"no member that is known has signatures over {artifact}")

    def _holders_of(self, artifact: ArtifactId) -> list[NodeClient]:
        agent = self._agent
        holders = self._gossip.holders(swarm_key_of(artifact))
        assert agent.session is not None
        asked = random.sample(holders, min(HOLDERS_ASKED_MAX, len(holders)))
        addresses = [Address(member.host, member.port) for member, _ in asked]
        tls = agent.tls_met
        return [NodeClient(agent.session, address, agent.key, tls=tls) for address in addresses]

    def swarm(self, artifact: ArtifactId) -> SwarmReport:
        """Who has how much of an artifact, and who follows it. NotFoundError."""
        names = self._names_of(artifact)
        records = self._records({swarm_key_of(artifact): artifact})
        report = swarm_report(artifact, self._facts(artifact), names, records, time.time())
        if not report.nodes and not names:
            raise NotFoundError(f"nothing is known of {artifact}")
        return report

    async def recording(self, artifact: ArtifactId) -> Recording:
        """How the fetches of an artifact went, as members tell. NotFoundError."""
        names = self._names_of(artifact)
        if not names:
            raise NotFoundError(f"nothing is known of {artifact}")
        now = self._agent.now()
        self._recalled = {a: of for a, of in self._recalled.items() if now - of[0] < RECALLED_S}
        if artifact not in self._recalled:
            newest = max(names, key=lambda of: of.published_s)
            holders = [member for member, _ in self._gossip.holders(swarm_key_of(artifact))]
            asking = asyncio.ensure_future(
                recollected(self._agent, newest, [self._gossip.me, *holders])
            )
            # who is gone before it ends does not hear how, and that is no news
            asking.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._recalled[artifact] = (now, asking)
        return await asyncio.shield(self._recalled[artifact][1])

    # --- from gossip's words to a tracker's ------------------------------------------------------

    @property
    def _gossip(self) -> Gossip:
        node = self._agent.node
        if node is None or node.gossip is None:
            raise NotFoundError("this node takes no part in gossip")
        return node.gossip

    def _names_of(self, artifact: ArtifactId) -> list[Publication]:
        return [publication for publication in self.names() if publication.artifact == artifact]

    def _facts(self, artifact: ArtifactId) -> ArtifactFacts | None:
        manifest = self._agent.manifests.get(swarm_key_of(artifact))
        named = next(iter(self._names_of(artifact)), None)
        told = _facts(named) if named is not None else None
        return _facts_of(manifest, told) if manifest is not None else told

    def _records(self, artifacts: dict[SwarmKey, ArtifactId]) -> list[NodeRecord]:
        """Each member as a tracker would remember it, with its holdings of these artifacts."""
        gossip = self._gossip
        for publication in self.names():
            self._looked_s.setdefault(swarm_key_of(publication.artifact), publication.published_s)
        held: dict[PeerId, list[Held]] = {}
        for key in artifacts:
            for of in gossip.holdings(key):
                held.setdefault(of.id, []).append(of)
        records = [
            self._record(member, held.get(member.id, ()), artifacts)
            for member in (gossip.me, *gossip.members())
        ]
        self._looked_s |= dict.fromkeys(artifacts, time.time())
        self._forget({swarm_key_of(of.artifact) for of in self.names()} | artifacts.keys())
        return records

    def _forget(self, named: Collection[int]) -> None:
        """Keep nothing of artifacts that no name names any more, unless they are asked for."""
        self._looked_s = {key: s for key, s in self._looked_s.items() if key in named}
        self._done_s = {key: s for key, s in self._done_s.items() if key[1] in named}

    def _record(
        self, member: Member, held: Iterable[Held], artifacts: dict[SwarmKey, ArtifactId]
    ) -> NodeRecord:
        now = time.time()
        tracked: dict[ArtifactId, TrackedHolding] = {}
        for of in held:
            artifact = artifacts[SwarmKey(of.swarm)]
            holding = Holding(
                artifact=artifact,
                have_chunks=of.have_chunks,
                chunk_count=of.chunk_count,
                state=of.state,
                origin=self._publisher(artifact) == member.id,
            )
            key = (member.id, of.swarm)
            if not of.whole:
                self._done_s.pop(key, None)
            elif key not in self._done_s:
                watched = now - self._looked_s.get(of.swarm, 0.0) <= LOOKS_APART_S
                self._done_s[key] = now if watched else None
            done_s = self._done_s.get(key)
            tracked[artifact] = TrackedHolding(holding, done_at_s=done_s)
        return NodeRecord(
            peer=Peer(member.id, member.host, member.port, member.zone),
            follows=member.follows,
            holdings=tracked,
            wants=(),
            swarms=frozenset(tracked),
            seen=0,
            since_s=min(now, member.incarnation / MS_PER_S),
            heard_s=now,
            lease_until_s=now,
            allowance=full_allowance(now),
        )

    def _publisher(self, artifact: ArtifactId) -> PeerId | None:
        """The member that gave an artifact its name."""
        for named in self._gossip.names():
            if named.publication.artifact == artifact and named.holders:
                return named.holders[0].id
        return None


def _facts(publication: Publication) -> ArtifactFacts:
    """What a name alone says of an artifact."""
    return ArtifactFacts(
        artifact=publication.artifact,
        name=publication.name,
        is_tree=False,
        size_bytes=publication.size_bytes,
        chunk_count=publication.chunk_count,
        manifest_bytes=0,
        added_s=publication.published_s,
    )


def _facts_of(manifest: Manifest, told: ArtifactFacts | None) -> ArtifactFacts:
    return ArtifactFacts(
        artifact=manifest.id,
        name=manifest.name,
        is_tree=manifest.is_tree,
        size_bytes=manifest.size_bytes,
        chunk_count=manifest.chunk_count,
        manifest_bytes=len(manifest.raw),
        added_s=told.added_s if told is not None else 0.0,
    )
