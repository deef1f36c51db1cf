"""What gossip says, as values and as bytes.

Three kinds of *rumour* travel: claims about a machine (`Member`), publications (`Named`) and what a
node holds (`Held`). They ride on datagrams, which also probe who is alive, and fill the bodies of
exchanges over TCP. On the wire a value is a MessagePack array that begins with its tag; its size is
bounded beforehand by arithmetic (`wire_bytes`), so that filling a datagram encodes nothing twice.

Values are immutable and shared: a core keeps the very object it received. Limits are checked when
bytes are decoded; what this process built is trusted. Whatever is said here is a hint: it decides
no content, and whom to connect to is decided elsewhere.
"""

import ipaddress
import re
from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache
from typing import Annotated

import msgspec

from strew.errors import ProtocolError
from strew.messages import Datagram, PeerId
from strew.publication import (
    Count,
    HoldingState,
    HostText,
    PatternText,
    PeerText,
    Port,
    Publication,
    ZoneText,
)

Address = tuple[str, int]
"""Host (an IP literal) and port."""

DATAGRAM_BYTES_MAX = 1200
"""Plain bytes of one datagram. With about 60 bytes of sealing it fits the 1400 that a network with
tunnels carries in one piece. Higher: a lost fragment loses it all; lower: fewer rumours ride."""

HEAD_BYTES_MAX = 64
"""Of a datagram beside its sender and its rumours: tag, number, `of`, and the heads of arrays."""

RUMOUR_BYTES_MAX = 768
"""Longest rumour in a datagram: reference and file name of 300 letters together, two signatures and
one holder. It fits beside any sender; what is longer travels by exchange alone."""

FOLLOWS_MAX = 8
"""Patterns a claim carries. Whoever follows more is told of everything."""

FOLLOWS_CHARS_MAX = 128
"""Letters of all these patterns: claims are the bulk of what is sent."""

FOLLOWS_ALL: tuple[str, ...] = ("*",)

HOLDERS_MAX = 3
"""Addresses told with a publication: enough that one of them lives."""

INCARNATION_MAX = (1 << 62) - 1
"""Beyond any clock, and below what the wire carries: what is claimed can always be exceeded."""

EXCHANGE_BYTES_MAX = 4 << 20
"""Largest body of an exchange: 20,000 members with room for names and holdings. What does not fit
goes with the next one."""

EXCHANGES_MAX = 8
"""Exchanges a node answers at once: 32 MiB of bodies. Whoever is refused asks somebody else."""

BUCKETS = 32
"""Into so many parts each table is divided for comparison. Three digests of 32 words of 9 bytes
keep an idle exchange below 1 kB; more would cost that much more and save entries' marks."""

MARK_BYTES = 8
"""Of a mark, which stands for one entry in one version."""

_SAME_VERSION = "all nodes should run the same version of strew"


class MemberState(IntEnum):
    """Higher states beat lower ones of the same incarnation (SWIM, section 4.2)."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3
    """It said itself that it stops."""


Incarnation = Annotated[int, msgspec.Meta(ge=0, le=INCARNATION_MAX)]
Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]
Follows = Annotated[tuple[PatternText, ...], msgspec.Meta(max_length=FOLLOWS_MAX)]


class Member(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """A claim about a machine: it listens at `host`:`port`, and lives or does not.

    `incarnation` is raised by the machine alone: to the clock's milliseconds when its process
    starts, and above any suspicion it hears of. `by` names who says so of a SUSPECT or DEAD
    member: independent accusers shorten a suspicion. `follows` are patterns over references.
    """

    id: PeerText
    host: HostText
    port: Port
    zone: ZoneText = ""
    follows: Follows = ()
    incarnation: Incarnation = 0
    state: MemberState = MemberState.ALIVE
    by: Annotated[str, msgspec.Meta(max_length=32)] = ""


class Holder(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A machine that holds an artifact, and where it listens."""

    id: PeerText
    host: HostText
    port: Port


class Named(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """A publication, and machines to fetch it from; the first of them published it."""

    publication: Publication
    holders: Annotated[tuple[Holder, ...], msgspec.Meta(max_length=HOLDERS_MAX)] = ()


class Held(msgspec.Struct, frozen=True, array_like=True, tag=3, gc=False):
    """What one node has of one artifact. With `chunk_count` 0 it no longer holds it.

    `swarm` is the artifact's swarm key, `digest` the first 8 bytes of its bitfield's digest. Of
    several the one with the highest `sequence` is true.
    """

    id: PeerText
    swarm: int
    have_chunks: Count
    chunk_count: Count
    digest: Annotated[bytes, msgspec.Meta(max_length=8)]
    sequence: Count
    state: HoldingState = "fetching"

    @property
    def whole(self) -> bool:
        """Whether the node has all of it, in its place."""
        return self.state == "seeding"


Rumour = Member | Named | Held
Rumours = tuple[Rumour, ...]


class Ping(Datagram, frozen=True, array_like=True, tag=1, gc=False):
    """Are you there? Answered by an Ack with the same number."""

    sender: Member
    number: Number
    rumours: Rumours = ()


class PingRequest(Datagram, frozen=True, array_like=True, tag=2, gc=False):
    """Ping the member `target` for me: answered by an Ack or a Nack with my number.

    No address is named: nobody pings on another's word what it does not know itself."""

    sender: Member
    number: Number
    target: PeerText
    rumours: Rumours = ()


class Ack(Datagram, frozen=True, array_like=True, tag=3, gc=False):
    """I am here; or, if `of` names a member, that one answered me."""

    sender: Member
    number: Number
    of: Annotated[str, msgspec.Meta(max_length=32)] = ""
    rumours: Rumours = ()


class Nack(Datagram, frozen=True, array_like=True, tag=4, gc=False):
    """I heard your PingRequest, and nothing from its target (Lifeguard, section IV-A)."""

    sender: Member
    number: Number
    rumours: Rumours = ()


class Tidings(Datagram, frozen=True, array_like=True, tag=5, gc=False):
    """Rumours without a question."""

    sender: Member
    rumours: Rumours = ()


Message = Ping | PingRequest | Ack | Nack | Tidings

Sums = Annotated[tuple[int, ...], msgspec.Meta(min_length=BUCKETS, max_length=BUCKETS)]
Marks = Annotated[dict[int, bytes], msgspec.Meta(max_length=BUCKETS)]
"""Of each bucket that differs, the marks of its entries, one after another."""


class Summary(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """First body of an exchange: sums over all I know, bucket by bucket."""

    sender: Member
    members: Sums
    names: Sums
    holdings: Sums


class Differences(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Answer to a Summary: the marks of what I know, in the buckets whose sums differ."""

    sender: Member
    members: Marks
    names: Marks
    holdings: Marks

    @property
    def none(self) -> bool:
        """Whether both know the same."""
        return not (self.members or self.names or self.holdings)


class Entries(msgspec.Struct, frozen=True, array_like=True, tag=3, gc=False):
    """Second body: what you lack, and the marks of what I want. Its answer is what was wanted."""

    sender: Member
    rumours: Rumours = ()
    wanted: bytes = b""


ExchangeMessage = Summary | Differences | Entries

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
_exchange_decoder: msgspec.msgpack.Decoder[ExchangeMessage] = msgspec.msgpack.Decoder(
    ExchangeMessage
)


def encode(message: Message | ExchangeMessage) -> bytes:
    """The bytes of a message."""
    return _encoder.encode(message)


def decode(data: bytes | bytearray | memoryview) -> Message:
    """Read a datagram strictly. ProtocolError names the field and the rule it breaks."""
    if len(data) > DATAGRAM_BYTES_MAX:
        raise ProtocolError(f"datagram of {len(data)} bytes, at most {DATAGRAM_BYTES_MAX} allowed")
    try:
        message = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"bad datagram: {error}", hint=_SAME_VERSION) from None
    _check(message.sender)
    _check_all(message.rumours)
    return message


def decode_exchange(body: bytes | bytearray | memoryview) -> ExchangeMessage:
    """Read a body of an exchange strictly; ProtocolError as with `decode`."""
    if len(body) > EXCHANGE_BYTES_MAX:
        raise ProtocolError(f"exchange of {len(body)} bytes, at most {EXCHANGE_BYTES_MAX} allowed")
    try:
        message = _exchange_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"bad exchange: {error}", hint=_SAME_VERSION) from None
    _check(message.sender)
    match message:
        case Entries():
            _check_marks(message.wanted)
            _check_all(message.rumours)
        case Differences():
            for marks in (message.members, message.names, message.holdings):
                for packed in marks.values():
                    _check_marks(packed)
    return message


def _check_marks(packed: bytes) -> None:
    if len(packed) % MARK_BYTES:
        raise ProtocolError(f"marks of {len(packed)} bytes: not a multiple of {MARK_BYTES}")


def _check_all(rumours: Rumours) -> None:
    for rumour in rumours:
        if type(rumour) is Member:
            _check(rumour)
        elif type(rumour) is Named:
            for holder in rumour.holders:
                _check_host(holder.host)


def _check(member: Member) -> None:
    _check_host(member.host)
    if sum(map(len, member.follows)) > FOLLOWS_CHARS_MAX:
        raise ProtocolError(
            f"member {member.id} follows patterns of over {FOLLOWS_CHARS_MAX} letters"
        )


def _check_host(host: str) -> None:
    if not is_one_machine(host):
        raise ProtocolError(f"{host!r} is no machine's address")


_LITERAL = re.compile(r"[0-9a-f.:]{2,45}", re.ASCII)


@lru_cache(maxsize=32768)
def is_one_machine(host: str) -> bool:
    """Whether `host` is an IP literal, and neither multicast, broadcast nor "any"."""
    if _LITERAL.fullmatch(host) is None:
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified or host == "255.255.255.255")


def told_follows(patterns: Iterable[str]) -> tuple[str, ...]:
    """Patterns as a claim carries them: all, or "everything" where they are too many."""
    told = tuple(patterns)
    if len(told) > FOLLOWS_MAX or sum(map(len, told)) > FOLLOWS_CHARS_MAX:
        return FOLLOWS_ALL
    return told


def named(publication: Publication, holders: Iterable[Holder]) -> Named:
    """A publication with as many of its holders as are told and fit."""
    told = tuple(holders)[:HOLDERS_MAX]
    while told and wire_bytes(Named(publication, told)) > RUMOUR_BYTES_MAX:
        told = told[:-1]
    return Named(publication, told)


def claim_of(member: Member, state: MemberState, by: PeerId | str = "") -> Member:
    """The claim that `member`, in the incarnation it has, is in `state`; made by `by`."""
    return Member(
        member.id,
        member.host,
        member.port,
        member.zone,
        member.follows,
        member.incarnation,
        state,
        by,
    )


def version_of(member: Member) -> int:
    """Orders claims about one member: by incarnation, then by state."""
    return member.incarnation << 2 | member.state


def _text_bytes(text: str) -> int:
    size = len(text) if text.isascii() else 4 * len(text)
    return size + (1 if size < 32 else 3)


_ID_BYTES = 34
_COUNT_BYTES = 9
_PORT_BYTES = 3
_MEMBER_BYTES = 2 + _ID_BYTES + _PORT_BYTES + _COUNT_BYTES + 1 + 1
_HOLDER_BYTES = 1 + _ID_BYTES + _PORT_BYTES
_HELD_BYTES = 2 + _ID_BYTES + 4 * _COUNT_BYTES + 10 + 9
_SIGNED_FIELDS = ("expires_s", "signatures")
_SIGNED_BYTES = sum(1 + len(name) for name in _SIGNED_FIELDS) + _COUNT_BYTES + 1
_FIELDS = set(Publication.__struct_fields__).difference(_SIGNED_FIELDS)
_NAMED_BYTES = 3 + 1 + sum(1 + len(name) for name in _FIELDS) + 4 * _COUNT_BYTES + 1
_SIGNATURE_BYTES = 1 + 1 + 16 + 2 + 64


def wire_bytes(rumour: Rumour) -> int:
    """At most so many bytes the rumour takes in a message; a little more than it does."""
    if type(rumour) is Member:
        size = _MEMBER_BYTES + _text_bytes(rumour.host) + _text_bytes(rumour.zone)
        size += _text_bytes(rumour.by)
        for pattern in rumour.follows:
            size += _text_bytes(pattern)
        return size
    if type(rumour) is Held:
        return _HELD_BYTES
    assert type(rumour) is Named
    told = rumour.publication
    size = _NAMED_BYTES + _text_bytes(told.reference) + _text_bytes(told.artifact)
    size += _text_bytes(told.name)
    if told.signatures:
        size += _SIGNED_BYTES + len(told.signatures) * _SIGNATURE_BYTES
    for holder in rumour.holders:
        size += _HOLDER_BYTES + _text_bytes(holder.host)
    return size
