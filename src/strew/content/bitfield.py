"""Which chunks: a set of chunk indexes, fast enough for every message of a swarm.

Held as one Python integer: set algebra over thousands of chunks is a handful of machine
instructions per 30 bits, without the interpreter looping.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence

from strew.errors import ProtocolError

_WIRE_NONE = 0
_WIRE_ALL = 1
_WIRE_RAW = 2
_WIRE_ZLIB = 3
_ZLIB_LEVEL = 1
"""A bitfield is a few hundred bytes to 128 KiB and sent once per neighbour: speed over ratio."""


class Bitfield:
    """A mutable subset of `range(size)`.

    `bits` holds index i as bit i; it may be read from outside, never assigned. Two bitfields may
    only be combined when their sizes are equal (that they belong to one artifact is the caller's
    promise; asserted).
    """

    __slots__ = ("bits", "count", "size")

    def __init__(self, size: int, bits: int = 0) -> None:
        assert size >= 0 and bits >= 0 and bits.bit_length() <= size, (size, bits.bit_length())
        self.size = size
        self.bits = bits
        self.count = bits.bit_count()

    @classmethod
    def full(cls, size: int) -> "Bitfield":
        """All of `range(size)`."""
        return cls(size, (1 << size) - 1)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing (true for an empty artifact)."""
        return self.count == self.size

    def add(self, index: int) -> bool:
        """Put `index` in; True if it was not there. IndexError outside of `range(size)`."""
        if not 0 <= index < self.size:
            raise IndexError(index)
        bits = self.bits
        if bits >> index & 1:
            return False
        self.bits = bits | 1 << index
        self.count += 1
        return True

    def include(self, bits: int) -> int:
        """Put a set of indexes in, given as an integer with bit i for index i; returns those that
        were not there. They are within `range(size)`: the caller's promise, asserted."""
        fresh = bits ^ (bits & self.bits)
        if fresh:
            self.bits |= fresh
            self.count += fresh.bit_count()
            assert self.bits.bit_length() <= self.size, (self.bits.bit_length(), self.size)
        return fresh

    def discard(self, index: int) -> bool:
        """Take `index` out; True if it was there."""
        if not 0 <= index < self.size:
            raise IndexError(index)
        bits = self.bits
        if not bits >> index & 1:
            return False
        self.bits = bits ^ 1 << index
        self.count -= 1
        return True

    def update(self, indexes: "Iterable[int] | Bitfield") -> None:
        """Put all of `indexes` in."""
        if isinstance(indexes, Bitfield):
            assert indexes.size == self.size, (indexes.size, self.size)
            self.bits |= indexes.bits
        else:
            # Bytes, not integers: each `|=` on a large integer would copy all of it.
            field = bytearray(self.bits.to_bytes((self.size + 7) // 8, "little"))
            for index in indexes:
                if not 0 <= index < self.size:
                    raise IndexError(index)
                field[index >> 3] |= 1 << (index & 7)
            self.bits = int.from_bytes(field, "little")
        self.count = self.bits.bit_count()

    def __contains__(self, index: int) -> bool:
        return index >= 0 and self.bits >> index & 1 == 1

    def __len__(self) -> int:
        return self.count

    def __bool__(self) -> bool:
        return self.bits != 0

    def __iter__(self) -> Iterator[int]:
        """Indexes in ascending order, of the moment of the call."""
        return indexes_of(self.bits)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bitfield):
            return NotImplemented
        return self.size == other.size and self.bits == other.bits

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Bitfield({self.count}/{self.size})"

    def copy(self) -> "Bitfield":
        """An independent copy (the integer itself is shared until one of the two changes)."""
        return Bitfield(self.size, self.bits)

    def missing(self) -> Iterator[int]:
        """Indexes not in here, ascending."""
        return indexes_of(self.bits ^ ((1 << self.size) - 1))

    def minus(self, other: "Bitfield") -> Iterator[int]:
        """Indexes in here and not in `other`, ascending."""
        assert self.size == other.size, (self.size, other.size)
        return indexes_of(self.bits ^ (self.bits & other.bits))

    def lacks_something_of(self, other: "Bitfield") -> bool:
        """Whether `other` has an index that is not in here."""
        assert self.size == other.size, (self.size, other.size)
        return other.bits | self.bits != self.bits

    def to_wire(self) -> bytes:
        """The compact form: one tag byte, then nothing (none, all), raw bits, or deflated bits.

        Raw bits are little-endian: index i is bit i % 8 of byte i // 8.
        """
        if self.count == 0:
            return bytes((_WIRE_NONE,))
        if self.complete:
            return bytes((_WIRE_ALL,))
        raw = self.bits.to_bytes((self.size + 7) // 8, "little")
        packed = zlib.compress(raw, _ZLIB_LEVEL)
        if len(packed) < len(raw):
            return bytes((_WIRE_ZLIB,)) + packed
        return bytes((_WIRE_RAW,)) + raw

    @classmethod
    def from_wire(cls, data: bytes | memoryview, size: int) -> "Bitfield":
        """Parse `to_wire`'s form for an artifact of `size` chunks.

        ProtocolError for an unknown tag, a wrong length, or bits beyond `size`. Never inflates to
        more than `size` bits.
        """
        if len(data) == 0:
            raise ProtocolError("bitfield is empty: it needs a tag byte")
        tag, body = data[0], bytes(data[1:])
        if tag in (_WIRE_NONE, _WIRE_ALL):
            if body:
                raise ProtocolError(f"bitfield with tag {tag} must have no body")
            return cls(size) if tag == _WIRE_NONE else cls.full(size)
        length_bytes = (size + 7) // 8
        if tag == _WIRE_ZLIB:
            body = _inflate(body, length_bytes)
        elif tag != _WIRE_RAW:
            raise ProtocolError(f"bitfield has unknown tag {tag}")
        if len(body) != length_bytes:
            raise ProtocolError(
                f"bitfield has {len(body)} bytes, {size} chunks need {length_bytes}"
            )
        bits = int.from_bytes(body, "little")
        if bits >> size:
            raise ProtocolError(f"bitfield has bits beyond chunk {size - 1}")
        return cls(size, bits)


def _inflate(body: bytes, length_bytes: int) -> bytes:
    """Inflate to at most `length_bytes`; ProtocolError if there is more, less, or garbage."""
    stream = zlib.decompressobj()
    try:
        # One byte more is asked for, so that an overlong stream shows itself.
        raw = stream.decompress(body, length_bytes + 1)
    except zlib.error as error:
        raise ProtocolError(f"bitfield is not valid zlib data: {error}") from None
    if not stream.eof or stream.unused_data:
        raise ProtocolError("bitfield's zlib data is cut off, overlong or followed by more")
    return raw


def indexes_of(bits: int) -> Iterator[int]:
    """Set bits in ascending order; a search in the binary text runs at the speed of memrchr."""
    if not bits:
        return
    first = (bits & -bits).bit_length() - 1
    text = f"{bits >> first:b}"  # those of one message lie close together: a short text
    last = len(text) - 1
    position = last
    while position >= 0:
        yield first + last - position
        position = text.rfind("1", 0, position)


def bits_of(indexes: Sequence[int], size: int) -> int:
    """The set of these indexes, bit i for index i; IndexError for one outside of `range(size)`."""
    if not indexes:
        return 0
    first = min(indexes)
    if first < 0 or max(indexes) >= size:
        raise IndexError(f"{first} to {max(indexes)} in a set of {size}")
    bits = 0
    for index in indexes:
        bits |= 1 << (index - first)
    return bits << first
