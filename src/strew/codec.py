"""Bytes <-> wire messages, with limits; no input or output.

Every frame is a length (4 bytes, big-endian, of what follows it), a type byte and a body. Control
bodies are msgpack arrays, so that a later version may append fields; a type that is not known is
skipped. A chunk travels in slices on the data connection, each slice with a fixed header:

    length u32 · type u8 = 0x40 · swarm u64 · index u32 · offset u32 · total u32 · role u8 ·
    plan u8 · 5 bytes of zeros, reserved        then (length - 28) bytes of payload

docs/PROTOCOL.md is the prose of this module.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from strew.errors import ProtocolError
from strew.messages import (
    BadChunk,
    Cancel,
    Close,
    Gone,
    Have,
    Join,
    Leave,
    Nack,
    Offer,
    Passed,
    Plan,
    Renew,
    Request,
    Unfit,
    Wire,
)

PREFACE = b"\x00strew\r\n"
"""First bytes of a peer wire connection. No HTTP request begins with a zero byte."""

CONTROL_FRAME_BYTES_MAX = 1 << 20
"""A plan of 10,000 machines and a bitfield of 2^20 chunks both fit."""

HANDSHAKE_FRAME_BYTES_MAX = 1024
"""What a stranger may make us keep before it proved that it belongs to the fleet."""

SLICE_BYTES_MAX = 512 << 10
"""Payload of one frame: a receive buffer's size, and the grain at which a sender can break off."""

CHUNK_BYTES_MAX = 8 << 20
"""Largest chunk a manifest may have: twice the largest average."""

TYPE_HELLO = 0x01
TYPE_PROOF = 0x02
TYPE_CHUNK = 0x40
TYPE_BREAK = 0x41
"""The chunk of this header will not be completed; it has no payload."""

_TYPES: dict[int, type[Wire]] = {
    0x10: Join,
    0x11: Leave,
    0x12: Have,
    0x13: Offer,
    0x14: Close,
    0x15: Request,
    0x16: Renew,
    0x17: Nack,
    0x18: Cancel,
    0x19: Plan,
    0x1A: Passed,
    0x1B: BadChunk,
    0x1C: Unfit,
    0x1D: Gone,
}
_NUMBERS = {kind: number for number, kind in _TYPES.items()}
_DECODERS = {number: msgspec.msgpack.Decoder(kind) for number, kind in _TYPES.items()}
_ENCODER = msgspec.msgpack.Encoder()
_FRAME = struct.Struct("!IB")
_CHUNK = struct.Struct("!IBQIIIBB5x")
CHUNK_HEADER_BYTES = _CHUNK.size
_CHUNK_BODY_BYTES = CHUNK_HEADER_BYTES - 4


class ChunkHeader(NamedTuple):
    """What stands before a slice of a chunk. `total` is the chunk's whole length, in bytes."""

    kind: int
    swarm: int
    chunk: int
    offset: int
    total: int
    role: int
    plan: int
    slice_bytes: int


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """Who opens a connection, or answers one. Its exact bytes are part of both proofs.

    `session` pairs the control and the data connection of one dial; `epoch` tells two lives of
    one node apart; `port` is where the sender listens, 0 if nowhere.
    """

    version: int
    node: str
    epoch: str
    session: str
    channel: str
    port: int
    zone: str
    nonce: bytes


_HELLO = msgspec.msgpack.Decoder(Hello)


def frame(kind: int, body: bytes) -> bytes:
    """One frame of any type."""
    return _FRAME.pack(len(body) + 1, kind) + body


def encode(message: Wire) -> bytes:
    """The frame of a control message."""
    return frame(_NUMBERS[type(message)], _ENCODER.encode(message))


def decode(kind: int, body: bytes | memoryview) -> Wire | None:
    """The message of a frame; None for a type this version does not know.

    Raises ProtocolError for a body that does not fit its type.
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        return None
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        name = _TYPES[kind].__name__
        raise ProtocolError(f"{name} message from a peer cannot be read: {error}") from None


def encode_hello(hello: Hello) -> bytes:
    """The body of a HELLO frame."""
    return _ENCODER.encode(hello)


def decode_hello(body: bytes) -> Hello:
    """Raises ProtocolError if the body is no HELLO or breaks a limit."""
    try:
        hello = _HELLO.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"HELLO from a peer cannot be read: {error}") from None
    hexadecimal = all(c in "0123456789abcdef" for c in hello.node + hello.epoch + hello.session)
    if len(hello.node) != 32 or not hexadecimal or len(hello.session) > 32 or len(hello.epoch) > 32:
        raise ProtocolError("HELLO from a peer names no node: ids are hex digits, 32 for the node")
    if hello.channel not in ("control", "data") or not 0 <= hello.port <= 65535:
        raise ProtocolError("HELLO from a peer has an unknown channel or a port out of range")
    if len(hello.nonce) != 32 or len(hello.zone) > 64:
        raise ProtocolError("HELLO from a peer has a nonce that is not 32 bytes or a long zone")
    return hello


def pack_chunk_header(header: ChunkHeader) -> bytes:
    """The 32 bytes before a slice."""
    return _CHUNK.pack(
        _CHUNK_BODY_BYTES + header.slice_bytes,
        header.kind,
        header.swarm,
        header.chunk,
        header.offset,
        header.total,
        header.role,
        header.plan,
    )


def unpack_chunk_header(data: bytes | bytearray | memoryview) -> ChunkHeader:
    """Raises ProtocolError for lengths that break a limit or contradict one another."""
    length, kind, swarm, index, offset, total, role, plan = _CHUNK.unpack(data)
    slice_bytes = length - _CHUNK_BODY_BYTES
    if kind not in (TYPE_CHUNK, TYPE_BREAK):
        raise ProtocolError(f"frame of type {kind} on a data connection; only chunks travel there")
    if not 0 <= slice_bytes <= SLICE_BYTES_MAX or total > CHUNK_BYTES_MAX:
        raise ProtocolError(f"chunk slice of {slice_bytes} bytes of {total}; over the limit")
    if offset + slice_bytes > total or (kind == TYPE_CHUNK) != (slice_bytes > 0):
        raise ProtocolError(f"chunk slice at {offset} of {slice_bytes} bytes; chunk has {total}")
    return ChunkHeader(kind, swarm, index, offset, total, role, plan, slice_bytes)


class FrameReader:
    """Cuts a byte stream into frames; keeps at most one frame that is not whole yet."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[tuple[int, bytes]]:
        """Yields (type, body) of every frame that is now whole.

        Raises ProtocolError as soon as a length over the limit is seen; nothing that long is kept.
        The iterator must be used up or `rest` taken before the next call.
        """
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 5:
            length, kind = _FRAME.unpack_from(buffer)
            if not 1 <= length <= self.limit_bytes:
                raise ProtocolError(f"frame of {length} bytes; at most {self.limit_bytes} go")
            end = 4 + length
            if len(buffer) < end:
                return
            body = bytes(buffer[5:end])
            del buffer[:end]
            yield kind, body

    def rest(self) -> bytes:
        """What is left over, taken out."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data
