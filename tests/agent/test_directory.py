"""What a node tells of its fleet: gossip's words in those of a tracker's API."""

import random
from types import SimpleNamespace
from typing import cast
from unittest import mock

import pytest

from strew.agent.agent import Agent
from strew.agent.directory import LOOKS_APART_S, Directory
from strew.content.digest import artifact_id_of
from strew.gossip.gossip import Gossip, Spread
from strew.gossip.protocol import Held, Holder, Member, Ping
from strew.messages import DatagramReceived, PeerId, swarm_key_of
from strew.publication import HoldingState, Publication
from strew.tracker.reports import SwarmNode

ARTIFACT = artifact_id_of(b"app")
CHUNKS = 10
PUBLISHED_S = 1_000.0

ME = Member(PeerId("0" * 32), "10.0.0.1", 7400)
OTHER = Member(PeerId("1" * 32), "10.0.0.2", 7400, follows=("app:*",))


class Fleet:
    """A node with gossip of its own, and one member that tells it things."""

    def __init__(self) -> None:
        self._gossip = Gossip(ME, random.Random(1), 0.0, ())
        node = SimpleNamespace(gossip=self._gossip)
        self.directory = Directory(cast(Agent, SimpleNamespace(node=node, manifests={})))
        self._sequence = 0
        publication = Publication(
            reference="app:1",
            artifact=ARTIFACT,
            version=1,
            size_bytes=1_000,
            chunk_count=CHUNKS,
            published_s=PUBLISHED_S,
            name="app",
        )
        holder = Holder(ME.id, ME.host, ME.port)
        self._gossip.handle(Spread(publication, (holder,)), 0.0)
        self.hear(0)

    def hear(self, have_chunks: int) -> None:
        """The member has so many chunks."""
        self._sequence += 1
        state: HoldingState = "seeding" if have_chunks == CHUNKS else "fetching"
        key = swarm_key_of(ARTIFACT)
        held = Held(OTHER.id, key, have_chunks, CHUNKS, b"", self._sequence, state)
        message = Ping(OTHER, self._sequence, (held,))
        self._gossip.handle(DatagramReceived(OTHER.host, OTHER.port, message), 0.0)

    def look(self, after_s: float) -> SwarmNode:
        """The member, as it is shown so long after the publication."""
        with mock.patch("time.time", lambda: PUBLISHED_S + after_s):
            nodes = self.directory.swarm(ARTIFACT).nodes
        (node,) = [node for node in nodes if node.id == OTHER.id]
        return node


def test_who_is_found_done_in_time_has_the_time_of_that_look() -> None:
    fleet = Fleet()
    assert (fleet.look(1.0).state, fleet.look(1.0).done_s) == ("fetching", None)
    fleet.hear(CHUNKS)
    assert (fleet.look(2.0).state, fleet.look(2.0).done_s) == ("seeding", 2.0)
    assert fleet.look(500.0).done_s == 2.0


def test_who_is_done_at_the_first_look_soon_after_the_publication_has_its_time() -> None:
    fleet = Fleet()
    fleet.hear(CHUNKS)
    assert fleet.look(LOOKS_APART_S).done_s == LOOKS_APART_S


@pytest.mark.parametrize("looks_s", [[], [1.0]])
def test_who_was_done_while_nobody_looked_has_none(looks_s: list[float]) -> None:
    fleet = Fleet()
    for after_s in looks_s:
        fleet.look(after_s)
    fleet.hear(CHUNKS)
    found = fleet.look(500.0)
    assert (found.state, found.done_s) == ("seeding", None)


def test_who_lost_chunks_and_got_them_again_has_the_later_time() -> None:
    fleet = Fleet()
    fleet.hear(CHUNKS)
    fleet.look(1.0)
    fleet.hear(CHUNKS - 1)
    assert fleet.look(2.0).done_s is None
    fleet.hear(CHUNKS)
    assert fleet.look(3.0).done_s == 3.0
