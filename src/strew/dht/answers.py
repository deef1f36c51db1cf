"""What a node answers to whom, and how much.

A datagram's source can be forged, so a node that answers much to little can be aimed at others. An
asker that did not prove its address yet therefore gets at most three times the bytes it sent: fewer
nodes and peers, counted with whatever else goes to it at once. An address is proved for a while by
an answer to a query of ours, or by a write token, which only its holder can have received.
"""

from collections.abc import Mapping, Sequence

from strew.dht import krpc
from strew.dht.contact import Address, Contact, Key, NodeId
from strew.dht.krpc import AnnouncePeer, Answer, Failure, FindNode, GetPeers, Krpc, Query
from strew.dht.providers import Providers
from strew.dht.routing import RoutingTable

UNPROVED_RATIO_MAX = 3
"""Bytes sent for each byte received from an address that was not proved (QUIC has the same limit,
RFC 9000, section 8.1)."""

PEERS_MAX = 50
"""Peers in one answer: 400 bytes beside the nodes, so that it fits a datagram."""

UNPROVED_PEERS_MAX = 8
"""Peers for an asker without proof: leaves room for nodes to go on with."""

PROVED_S = 900.0
"""How long a proof holds: addresses are leased for longer."""

PROVED_MAX = 4096
"""Proved addresses remembered, about 1 MB; the oldest proof is forgotten first."""

_NODE_BYTES = 26
_NODES_LENGTH_BYTES = 2
"""By which ``5:nodes208:`` is longer than ``5:nodes0:``."""
_PEER_BYTES = 8
_PEERS_FRAME_BYTES = 10
"""``6:valuesl`` and ``e``."""


class Answers:
    """Answers queries out of the routing table and the provider records. `provided` are the keys
    this node provides itself, with their ports."""

    def __init__(
        self, me: NodeId, table: RoutingTable, providers: Providers, provided: Mapping[Key, int]
    ) -> None:
        self._me = me
        self._table = table
        self._providers = providers
        self._provided = provided
        self._proved_s: dict[Address, float] = {}

    def prove(self, address: Address, now: float) -> None:
        """Somebody received what was sent to this address."""
        self._proved_s.pop(address, None)
        self._proved_s[address] = now
        if len(self._proved_s) > PROVED_MAX:
            del self._proved_s[next(iter(self._proved_s))]

    def proved(self, address: Address, now: float) -> bool:
        """Whether the address was proved lately."""
        at_s = self._proved_s.get(address)
        return at_s is not None and now - at_s < PROVED_S

    def reply(self, query: Query, address: Address, now: float, beside_bytes: int = 0) -> Krpc:
        """What to answer. `beside_bytes` go to the same address on account of the same query."""
        match query:
            case AnnouncePeer():
                return self._record(query, address, now)
            case FindNode():
                nodes = self._nodes(query.target, query.sender)
                answer = Answer(query.transaction, self._me, ())
                return self._fitted(answer, nodes, (), query, address, now, beside_bytes)
            case GetPeers():
                nodes = self._nodes(query.key, query.sender)
                peers = self._providers.sample(query.key, PEERS_MAX, now)
                answer = Answer(
                    query.transaction,
                    self._me,
                    (),
                    token=self._providers.token(address[0], now),
                    provides=self._provided.get(query.key, 0),
                )
                return self._fitted(answer, nodes, peers, query, address, now, beside_bytes)
        return Answer(query.transaction, self._me)

    def _nodes(self, target: int, asker: NodeId) -> list[Contact]:
        return [contact for contact in self._table.closest(target) if contact.id != asker]

    def _record(self, query: AnnouncePeer, address: Address, now: float) -> Krpc:
        host, port = address
        if not self._providers.proves(query.token, host, now):
            return Failure(query.transaction, krpc.PROTOCOL_ERROR, "Bad token")
        self.prove(address, now)
        provider = (host, port if query.implied_port else query.port)
        if not self._providers.add(query.key, provider, now):
            return Failure(query.transaction, krpc.SERVER_ERROR, "No room")
        return Answer(query.transaction, self._me)

    def _fitted(
        self,
        answer: Answer,
        nodes: Sequence[Contact],
        peers: Sequence[Address],
        query: Query,
        address: Address,
        now: float,
        beside_bytes: int,
    ) -> Answer:
        """The answer with as many nodes and peers as the asker may have."""
        if not self.proved(address, now):
            room_bytes = UNPROVED_RATIO_MAX * len(krpc.encode(query)) - beside_bytes
            room_bytes -= len(krpc.encode(answer)) + _NODES_LENGTH_BYTES
            peers = peers[:UNPROVED_PEERS_MAX]
            if peers:
                room_bytes -= _PEERS_FRAME_BYTES + _PEER_BYTES * len(peers)
            nodes = nodes[: max(0, room_bytes // _NODE_BYTES)]
        return Answer(
            answer.transaction,
            answer.sender,
            tuple(nodes),
            tuple(peers),
            answer.token,
            answer.provides,
        )
