"""What proves the sender of each wire message: the table for TCP's peer wire and for datagrams.

A message that stands in no row is not taken, whatever it carries: both ends of a link look here
before they hand a message on (strew.transfer). HTTP has a table of its own, strew.access.routes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, get_args

from strew import messages
from strew.codec import TYPE_BREAK, TYPE_CHUNK, TYPE_HELLO, TYPE_PROOF
from strew.dht import krpc
from strew.gossip import protocol
from strew.messages import Datagram, Wire


class Proof(Enum):
    """What must stand before a message is looked at."""

    NOTHING_YET = "nothing yet"
    """It is the proof itself: both ends answer each other's fresh nonce with an HMAC under the
    fleet key (strew.transfer.handshake), on each connection of a link."""
    LINK = "link"
    """Its connection ended that exchange, and is half of a link of one node."""
    SEALED = "sealed"
    """AES-256-GCM under a key derived from the fleet key (strew.transfer.sealing)."""
    SEALED_OR_OPEN = "sealed or open"
    """The same, or nothing where `--dht-open` was asked for. What it says is a hint: an address is
    believed when what was sent to it came back (strew.dht)."""


FRAMES: Final[Mapping[int, Proof]] = {
    TYPE_HELLO: Proof.NOTHING_YET,
    TYPE_PROOF: Proof.NOTHING_YET,
    TYPE_CHUNK: Proof.LINK,
    TYPE_BREAK: Proof.LINK,
}
"""Frames that are not control messages, by their type."""

CONTROL: Final[Mapping[type[Wire], Proof]] = {
    messages.Join: Proof.LINK,
    messages.Leave: Proof.LINK,
    messages.Have: Proof.LINK,
    messages.Offer: Proof.LINK,
    messages.Close: Proof.LINK,
    messages.Request: Proof.LINK,
    messages.Renew: Proof.LINK,
    messages.Nack: Proof.LINK,
    messages.Cancel: Proof.LINK,
    messages.Plan: Proof.LINK,
    messages.Passed: Proof.LINK,
    messages.BadChunk: Proof.LINK,
    messages.Unfit: Proof.LINK,
    messages.Gone: Proof.LINK,
}
"""Messages on a control connection."""

DATAGRAMS: Final[Mapping[type[Datagram], Proof]] = {
    **dict.fromkeys(get_args(protocol.Message), Proof.SEALED),
    krpc.Ping: Proof.SEALED_OR_OPEN,
    krpc.FindNode: Proof.SEALED_OR_OPEN,
    krpc.GetPeers: Proof.SEALED_OR_OPEN,
    krpc.AnnouncePeer: Proof.SEALED_OR_OPEN,
    krpc.UnknownQuery: Proof.SEALED_OR_OPEN,
    krpc.Answer: Proof.SEALED_OR_OPEN,
    krpc.Failure: Proof.SEALED_OR_OPEN,
}
"""Messages in datagrams."""


def begins_link(kind: int) -> bool:
    """Whether a frame may come from a stranger, who has proved nothing yet."""
    return FRAMES.get(kind) is Proof.NOTHING_YET


def on_link(message: Wire) -> bool:
    """Whether a control message may come over a link that stands."""
    return CONTROL.get(type(message)) is Proof.LINK


def in_datagram(message: Datagram, *, sealed: bool) -> bool:
    """Whether a message may come in a datagram that was sealed, or was not."""
    proof = DATAGRAMS.get(type(message))
    return proof is Proof.SEALED_OR_OPEN or (sealed and proof is Proof.SEALED)
