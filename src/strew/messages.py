"""What the cores hear (events), what they ask for (actions), and what nodes say to each other.

Three vocabularies in one room, because every core and every shell speaks them:

* **wire messages** travel on the control connection of two neighbours; `codec` turns them into
  bytes. Payload never rides in a message: it has a frame of its own (`ChunkHeader`).
* **events** are what a core is told: `handle(event, now)`.
* **actions** are what a core wants done; each that does IO ends as an event.

An artifact is named on the wire by its *swarm key*: the first eight bytes of its digest as an
unsigned big-endian integer. Both ends know it without having to agree on anything first; should
two artifacts ever share one, their chunks still fail verification, so a collision costs time
and never a wrong byte.

All sizes are bytes, all times seconds of a monotonic clock whose origin does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NewType

import msgspec

from strew.content.bitfield import Bitfield
from strew.content.digest import ArtifactId

PeerId = NewType("PeerId", str)
"""A node's identity: 32 hex digits, made once and kept in its data folder."""

SwarmKey = NewType("SwarmKey", int)
"""The first eight bytes of an artifact's digest, big-endian."""

PROTOCOL_VERSION = 1
"""Spoken in every HELLO. A node refuses a version it does not know, and says which it knows."""


def swarm_key_of(artifact: ArtifactId) -> SwarmKey:
    """The key by which messages and chunk headers name `artifact`."""
    return SwarmKey(int(artifact[7:23], 16))


class Role(IntEnum):
    """Why a chunk is sent, as written in its header."""

    SERVED = 0
    """Layer 2: the receiver asked for it."""
    OWNED = 1
    """Layer 1: the receiver becomes its owner (or its group's designate) and passes it on."""
    COPIED = 2
    """Layer 1: a mate's copy; the receiver keeps it and passes it to nobody."""


# --- wire messages ------------------------------------------------------------------------------


class Wire(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message on the control connection; every one belongs to one swarm."""

    swarm: int


class Join(Wire, frozen=True, array_like=True, gc=False):
    """I take part in this swarm; this is what I have. Answered by a Join if the other does too.

    `fit` says that the sender may own chunks (layer 1); a node that fetches only from sources
    its user named is not. `origin` marks the node from which the artifact was published.
    """

    artifact: str
    have: bytes
    chunk_count: int
    zone: str = ""
    origin: bool = False
    fit: bool = True


class Leave(Wire, frozen=True, array_like=True, gc=False):
    """I take no further part in this swarm."""


class Have(Wire, frozen=True, array_like=True, gc=False):
    """These chunks are verified and stored here (since the last Have or Join)."""

    indexes: list[int]


class Offer(Wire, frozen=True, array_like=True, gc=False):
    """I have a free slot and something you lack. No chunk is named: the receiver chooses."""


class Close(Wire, frozen=True, array_like=True, gc=False):
    """My offer no longer stands."""


class Request(Wire, frozen=True, array_like=True, gc=False):
    """Answering an offer: send me this chunk."""

    index: int


class Renew(Wire, frozen=True, array_like=True, gc=False):
    """Sent before the running chunk ends: send me this one right after it."""

    index: int


class Nack(Wire, frozen=True, array_like=True, gc=False):
    """I shall not send what you asked for: no slot is free, or I do not have it."""

    index: int


class Cancel(Wire, frozen=True, array_like=True, gc=False):
    """I got this chunk elsewhere; if you have not begun to send it, do not."""

    index: int


class PlanMember(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One machine of a push plan and where it listens."""

    id: str
    host: str
    port: int


class Plan(Wire, frozen=True, array_like=True, gc=False):
    """Layer 1's groups as the origin sees them. A hint: whoever lacks it is served by layer 2.

    The first group receives from the origin. `group` and `place` say where in `groups` the
    receiver of this message stands; `fanout` is the number of stripes of a large group.
    """

    version: int
    origin: str
    fanout: int
    groups: list[list[PlanMember]]
    group: int
    place: int


class Passed(Wire, frozen=True, array_like=True, gc=False):
    """An owner's credit comes back: these chunks were offered to everyone they had to go to."""

    indexes: list[int]


class Unfit(Wire, frozen=True, array_like=True, gc=False):
    """These machines of the plan are too slow to pass chunks on; handed up to the origin."""

    peers: list[str]


class Gone(Wire, frozen=True, array_like=True, gc=False):
    """These machines of the plan are not there; handed up to the origin, which looks for itself."""

    peers: list[str]


class BadChunk(Wire, frozen=True, array_like=True, gc=False):
    """What you sent under this index did not match its digest: look at your disk."""

    index: int


# --- datagrams ----------------------------------------------------------------------------------


class Datagram(msgspec.Struct, frozen=True, gc=False):
    """What one datagram says: a message of gossip, or of the distributed hash table."""


# --- events of a swarm --------------------------------------------------------------------------


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that happened, told to a core."""


class Tick(Event, frozen=True, gc=False):
    """The time asked for by `deadline()` has come."""


class NeighbourJoined(Event, frozen=True, gc=False):
    """A connected peer takes part in this swarm."""

    peer: PeerId
    have: Bitfield
    zone: str = ""
    origin: bool = False
    fit: bool = True
    dialled: bool = False


class NeighbourLeft(Event, frozen=True, gc=False):
    """Its connection ended or it said Leave."""

    peer: PeerId
    reason: str = ""


class MessageReceived(Event, frozen=True, gc=False):
    """A wire message from a connected peer."""

    peer: PeerId
    message: Wire


class ChunkArriving(Event, frozen=True, gc=False):
    """A chunk's header came in; answered in the same call by `Discard` if it is not wanted.

    `plan` is the tag of the plan by which a pushed chunk goes down, 0 if of none."""

    peer: PeerId
    swarm: int
    index: int
    role: int
    plan: int = 0


class ChunkStored(Event, frozen=True, gc=False):
    """Digest checked and stored: from now on the node *has* it."""

    peer: PeerId
    swarm: int
    index: int


class ChunkCorrupt(Event, frozen=True, gc=False):
    """What `peer` sent did not match the digest; nothing was kept."""

    peer: PeerId
    swarm: int
    index: int


class ChunkAborted(Event, frozen=True, gc=False):
    """The chunk that was arriving will not end: the sender broke off, or it was not wanted."""

    peer: PeerId
    swarm: int
    index: int


class ChunksFound(Event, frozen=True, gc=False):
    """Chunks that were on this machine already (an earlier version, another artifact)."""

    swarm: int
    indexes: tuple[int, ...]


class ChunkRotten(Event, frozen=True, gc=False):
    """A stored chunk no longer matches its digest; the store has put it aside."""

    swarm: int
    index: int


class ChunkSent(Event, frozen=True, gc=False):
    """All of the chunk left for the network; the socket is writable again."""

    peer: PeerId
    swarm: int
    index: int


class ChunkNotSent(Event, frozen=True, gc=False):
    """The chunk could not be read or the connection ended before all of it was sent."""

    peer: PeerId
    swarm: int
    index: int


ChunkEvent = (
    ChunkArriving
    | ChunkStored
    | ChunkSent
    | ChunkCorrupt
    | ChunkAborted
    | ChunkNotSent
    | ChunkRotten
    | ChunksFound
)
"""What happens to one chunk or some of them; each names its swarm. By far the most events."""


class MembersNamed(Event, frozen=True, gc=False):
    """Machines that will take part, as a source of peers names them (for the origin's plan)."""

    members: tuple[tuple[PlanMember, str], ...]
    """Each with its zone."""
    seen: bool = False
    """This node is linked with them; else others say so, and it may be old."""


# --- actions of a swarm -------------------------------------------------------------------------


class Action(msgspec.Struct, frozen=True, gc=False):
    """Something a core wants done."""


class Send(Action, frozen=True, gc=False):
    """Send a message on the peer's control connection."""

    peer: PeerId
    message: Wire


class SendChunk(Action, frozen=True, gc=False):
    """Send a chunk on the peer's data connection, after those already waiting there.

    `plan` is the tag of the plan by which it is pushed, 0 if by none."""

    peer: PeerId
    swarm: int
    index: int
    role: int
    plan: int = 0


class CancelSend(Action, frozen=True, gc=False):
    """If this chunk still waits on the peer's data connection, take it out."""

    peer: PeerId
    swarm: int
    index: int


class Discard(Action, frozen=True, gc=False):
    """Read the arriving chunk off the connection and throw it away."""

    peer: PeerId
    swarm: int
    index: int


class Drop(Action, frozen=True, gc=False):
    """Disconnect from the peer and do not deal with it for `ban_s` seconds."""

    peer: PeerId
    reason: str
    ban_s: float


class Recheck(Action, frozen=True, gc=False):
    """Hash this stored chunk again; answered by `ChunkRotten` if it is bad."""

    swarm: int
    index: int


class Meet(Action, frozen=True, gc=False):
    """This node passes chunks to these machines: be connected with them. `mutual`: they were told
    the same of this node, so one of two dials first."""

    swarm: int
    members: tuple[PlanMember, ...]
    mutual: bool


class Completed(Action, frozen=True, gc=False):
    """Every chunk of this swarm is here."""

    swarm: int


# --- events of a node ---------------------------------------------------------------------------


class LinkUp(Event, frozen=True, gc=False):
    """A peer proved itself and both its connections are up."""

    peer: PeerId
    host: str
    port: int
    zone: str
    dialled: bool


class Guilt(IntEnum):
    """Why a link ended, as far as its peer is to blame."""

    NOBODY = 0
    """It closed, or the network did."""
    DRIPS = 1
    """It did not send, or did not read, at a rate that a working machine reaches."""
    BREACH = 2
    """It said what no node says."""


class LinkLost(Event, frozen=True, gc=False):
    """A peer's link ended."""

    peer: PeerId
    reason: str
    guilt: Guilt = Guilt.NOBODY


class DialFailed(Event, frozen=True, gc=False):
    """Nobody answered at an address, or the wrong one did."""

    host: str
    port: int
    reason: str


class DialDone(Event, frozen=True, gc=False):
    """The dial of an address ended in a link (new or already there) to this peer."""

    host: str
    port: int
    peer: PeerId


class DatagramReceived(Event, frozen=True, gc=False):
    """A datagram came from an address. That its sender is of the fleet was proved, except where the
    hash table is spoken in the open."""

    host: str
    port: int
    message: Datagram


class Opened(Event, frozen=True, gc=False):
    """The store is ready for an artifact: take part in its swarm.

    `lengths` are its chunks' lengths, `have` what is verified here. `origin`: it is published
    from here. `sources`: addresses to ask beside what trackers name; with `only_sources` nobody
    else is asked and the node owns nothing.
    """

    artifact: ArtifactId
    lengths: Sequence[int]
    have: Bitfield
    origin: bool = False
    sources: tuple[tuple[str, int], ...] = ()
    only_sources: bool = False


class StateChanged(Event, frozen=True, gc=False):
    """What becomes of an artifact here, as told to trackers: one of the holding states.

    What is paused or has failed may be in no swarm: the counts say then what there is to tell.
    """

    artifact: ArtifactId
    state: str
    reason: str = ""
    have_chunks: int = 0
    chunk_count: int = 0


class Closed(Event, frozen=True, gc=False):
    """The artifact is no longer held or fetched here."""

    artifact: ArtifactId


class Retiring(Event, frozen=True, gc=False):
    """The process is about to leave, and has some time for it: what only this node has is handed
    over first (strew.swarm.handover)."""


class Leaving(Event, frozen=True, gc=False):
    """The process is about to stop."""


# --- actions of a node --------------------------------------------------------------------------


class Dial(Action, frozen=True, gc=False):
    """Connect to an address; answered by DialDone or DialFailed."""

    host: str
    port: int


class Disconnect(Action, frozen=True, gc=False):
    """End the peer's link; answered by LinkLost."""

    peer: PeerId
    reason: str


class SendDatagram(Action, frozen=True, gc=False):
    """Send a datagram to an address; that it arrives, nobody says."""

    host: str
    port: int
    message: Datagram
