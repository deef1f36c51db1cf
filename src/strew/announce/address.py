"""Which address of a node is true, and which may be dialled at all.

A node's address is the source address of its connection, never what it says of itself: else one
node could send a thousand others against a third party.
"""

import ipaddress

from strew.announce.protocol import Handout, Peer
from strew.messages import PeerId

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def literal(host: str) -> _Address | None:
    """`host` as an IP address; an IPv4 address inside IPv6 (RFC 4291, 2.5.5.2) as IPv4."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_loopback(host: str) -> bool:
    """Whether `host` is an address of one machine to itself."""
    address = literal(host)
    return address is not None and address.is_loopback


def is_dialable(host: str) -> bool:
    """Whether a node may connect there: an IP literal of one machine, loopback included."""
    address = literal(host)
    return address is not None and not (
        address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255"
    )


def address_of(source: str, hint: str) -> str:
    """The address under which a node is known, from its connection's source address.

    `hint` (what the node says) counts only for a process on the tracker's own machine, whose
    source address says nothing. Empty if neither is usable.
    """
    address = literal(source)
    if address is None:
        return ""
    if address.is_loopback and hint and is_dialable(hint):
        return str(literal(hint))
    return str(address)


def reachable_host(host: str, *, asker: str, reached: str) -> str:
    """How `asker` reaches a node known as `host`.

    A node on the tracker's own machine is known by its loopback address; to anyone else it is
    where the asker reached the tracker (`reached`, the local address of its connection).
    """
    if reached and is_loopback(host) and not is_loopback(asker) and is_dialable(reached):
        return str(literal(reached))
    return host


def dialable_handout(handout: Handout, own: PeerId) -> Handout:
    """A handout without oneself and without addresses that are no machine's; for the receiver."""
    peers = {
        artifact: tuple(p for p in found if p.id != own and _is_peer(p))
        for artifact, found in handout.peers.items()
    }
    return Handout(
        lease_s=handout.lease_s,
        interval_s=handout.interval_s,
        seen=handout.seen,
        peers=peers,
        publications=handout.publications,
        manifests=handout.manifests,
    )


def _is_peer(peer: Peer) -> bool:
    return 0 < peer.port < 65536 and is_dialable(peer.host)
