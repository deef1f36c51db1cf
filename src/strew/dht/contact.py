"""The space of the table: ids of nodes, keys of artifacts, and where a node is reached.

Ids and keys are numbers of 160 bits in one space; the distance of two is their exclusive or
(Maymounkov and Mazières, "Kademlia", IPTPS 2002, section 2.1). An artifact's providers are kept by
the nodes whose ids are nearest to its key.

IPv4 only: the compact forms of BEP 5 hold four bytes of address. A node that is reached over IPv6
alone takes no part in the table; it is found by gossip and trackers.
"""

from functools import lru_cache
from typing import NewType

import msgspec
from blake3 import blake3

from strew.content.digest import ARTIFACT_ID_PREFIX, ArtifactId
from strew.messages import PeerId, SwarmKey

NodeId = NewType("NodeId", int)
"""A node's place in the space, 160 bits."""

Key = NewType("Key", int)
"""An artifact's place in the space, 160 bits."""

Address = tuple[str, int]
"""Host, as an IPv4 literal, and port."""

ID_BYTES = 20
ID_BITS = 8 * ID_BYTES

ADDRESSES_CACHED_MAX = 16_384
"""Addresses whose check is remembered, about 3 MB: all that one node, or a simulation, sees."""

_NODE_ID_LABEL = b"strew dht 1"
_MULTICAST_FROM = 224
"""First octet from which IPv4 addresses name no single machine (RFC 5771, RFC 1112)."""


class Contact(msgspec.Struct, frozen=True, gc=False):
    """A node of the table as others name it. Believed only after it answered from there."""

    id: NodeId
    host: str
    port: int

    @property
    def address(self) -> Address:
        """Where it is reached."""
        return self.host, self.port


def node_id_of(peer: PeerId) -> NodeId:
    """The id of a strew node: it keeps its place as long as it keeps its data folder."""
    digest = blake3(_NODE_ID_LABEL + peer.encode()).digest(ID_BYTES)
    return NodeId(int.from_bytes(digest, "big"))


def key_of(artifact: ArtifactId) -> Key:
    """The key of an artifact: the first 20 bytes of its digest."""
    start = len(ARTIFACT_ID_PREFIX)
    return Key(int(artifact[start : start + 2 * ID_BYTES], 16))


def swarm_of(key: Key) -> SwarmKey:
    """The swarm key of the artifact with this key: its first eight bytes."""
    return SwarmKey(key >> (ID_BITS - 64))


@lru_cache(maxsize=ADDRESSES_CACHED_MAX)
def reachable(host: str, port: int) -> bool:
    """Whether an address may be one machine's: an IPv4 literal, not 0.x, not multicast or above."""
    octets = host.split(".")
    if len(octets) != 4 or not 0 < port < 65536:
        return False
    if not all(octet.isascii() and octet.isdigit() and len(octet) <= 3 for octet in octets):
        return False
    numbers = [int(octet) for octet in octets]
    return 0 < numbers[0] < _MULTICAST_FROM and max(numbers) < 256
