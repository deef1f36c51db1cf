"""Which peers to hand out: holders and near nodes first, then whoever was handed out least.

The swarm needs a graph that is connected, has short paths and even degrees, and crosses racks
seldom. A random regular graph of degree 24 has the first three (SCHEDULING.md: 12 neighbours are
needed, 24 were used); taking the least handed out of a random sample keeps degrees even; two
thirds from one's own zone keep most links inside the rack.
"""

import random
from collections.abc import Iterable

import msgspec

from strew.announce.protocol import PEERS_MAX, Peer
from strew.announce.records import Candidate
from strew.messages import PeerId

NEIGHBOURS = 24
"""Peers of one artifact for an ordinary node. Lower: holes in the graph; higher: HAVEs and
connections cost every node more, and nothing was gained in the trials."""

PEERS_PER_REPLY_MAX = 50
"""Peers in one reply to an ordinary node, over all the artifacts it wants."""

PEERS_PER_ORIGIN_REPLY_MAX = 2 * PEERS_MAX
"""The same for one that published what it asks for; about 2 MB."""

SAMPLE = 3 * NEIGHBOURS
"""Candidates drawn for one choice: three to choose from for each place, so that degrees come out
nearly even while the cost of an announce does not grow with the fleet."""

assert PEERS_PER_REPLY_MAX >= 2 * NEIGHBOURS


def choose_peers(
    candidates: Iterable[Candidate],
    *,
    asker: PeerId,
    zone: str,
    limit: int,
    dice: random.Random,
) -> tuple[Peer, ...]:
    """Up to `limit` of `candidates` for `asker`, who is never among them.

    A third of the places is first offered to nodes that hold everything, so that a late joiner
    never gets only nodes as empty as itself. Near nodes then fill up to two thirds, the least
    handed out first, and any other node the rest.
    """
    left = [c for c in candidates if c.peer.id != asker]
    dice.shuffle(left)
    left.sort(key=lambda c: c.handed)
    chosen: dict[PeerId, Peer] = {}
    if len(left) <= limit:
        return tuple(_named(candidate) for candidate in left)
    near = [c for c in left if c.peer.zone == zone]
    holders = [c for c in left if c.complete]
    holders.sort(key=lambda c: c.peer.zone != zone)
    _take(chosen, holders, limit // 3)
    near_taken = sum(1 for peer in chosen.values() if peer.zone == zone)
    near_places = max(0, 2 * limit // 3 - near_taken)
    _take(chosen, near, min(limit, len(chosen) + near_places))
    _take(chosen, (c for c in left if c.peer.zone != zone), limit)
    _take(chosen, near, limit)
    return tuple(chosen.values())


def _take(chosen: dict[PeerId, Peer], source: Iterable[Candidate], until: int) -> None:
    """Add from `source` in its order until `chosen` has `until` peers."""
    for candidate in source:
        if len(chosen) >= until:
            return
        chosen.setdefault(candidate.peer.id, _named(candidate))


def _named(candidate: Candidate) -> Peer:
    """The peer as it is handed out for this artifact."""
    return msgspec.structs.replace(candidate.peer, complete=candidate.complete)


def share_of_reply(position: int, wanted: int, given: int, *, origin: bool) -> int:
    """How many peers the artifact at `position` of `wanted` may get when `given` are given.

    An origin gets all the fleet for what it published; the others divide the reply's places
    evenly, what one leaves going to those after it.
    """
    if origin:
        return min(PEERS_MAX, PEERS_PER_ORIGIN_REPLY_MAX - given)
    places = PEERS_PER_REPLY_MAX - given
    if places <= 0:
        return 0
    return min(NEIGHBOURS, max(1, places // (wanted - position)))
