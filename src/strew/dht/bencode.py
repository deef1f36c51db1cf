"""Bencoding: integers, byte strings, lists and dictionaries as bytes (BEP 3).

Writing is canonical: keys sorted, shortest integers. Reading is lenient about that, since other
programs are not all canonical (keys in any order, the last of equal keys counts, leading zeros),
and strict about everything that costs: depth, digits, and that nothing follows the value.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from strew.errors import ProtocolError

Value: TypeAlias = "int | bytes | list[Value] | dict[bytes, Value]"
"""What is read."""

Source: TypeAlias = "int | bytes | Sequence[Source] | Mapping[bytes, Source]"
"""What can be written."""

DEPTH_MAX = 8
"""Lists and dictionaries inside one another. The messages of BEP 5 have 3; extensions put values
of their own beside them. Higher costs stack in a reader that calls itself."""

INTEGER_CHARS_MAX = 20
"""Digits and sign of a 64-bit number. Python reads longer ones in quadratic time."""

LENGTH_CHARS_MAX = 10
"""Digits of a string's length; far more than a datagram holds."""


def encode(value: Source) -> bytes:
    """The canonical bytes of a value."""
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


def decode(data: bytes) -> Value:
    """Read exactly one value; ProtocolError says where and why not."""
    value, end = _read(data, 0, 0)
    if end != len(data):
        raise _wrong(end, "bytes after the value")
    return value


def _write(value: Source, parts: list[bytes]) -> None:
    if isinstance(value, int):
        parts.append(b"i%de" % value)
    elif isinstance(value, bytes):
        parts.append(b"%d:" % len(value))
        parts.append(value)
    elif isinstance(value, Mapping):
        parts.append(b"d")
        for key in sorted(value):
            parts.append(b"%d:" % len(key))
            parts.append(key)
            _write(value[key], parts)
        parts.append(b"e")
    else:
        parts.append(b"l")
        for item in value:
            _write(item, parts)
        parts.append(b"e")


def _read(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    """The value that begins at `at`, and where the next one would."""
    first = data[at : at + 1]
    if first.isdigit():
        return _read_bytes(data, at)
    if first == b"i":
        return _read_integer(data, at)
    if first not in (b"l", b"d"):
        raise _wrong(at, "no value begins here")
    if depth == DEPTH_MAX:
        raise _wrong(at, f"nested deeper than {DEPTH_MAX}")
    at += 1
    if first == b"l":
        items: list[Value] = []
        while data[at : at + 1] != b"e":
            item, at = _read(data, at, depth + 1)
            items.append(item)
        return items, at + 1
    pairs: dict[bytes, Value] = {}
    while data[at : at + 1] != b"e":
        key, at = _read_bytes(data, at)
        pairs[key], at = _read(data, at, depth + 1)
    return pairs, at + 1


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    colon = data.find(b":", at, at + LENGTH_CHARS_MAX + 1)
    if colon < 0 or not data[at:colon].isdigit():
        raise _wrong(at, "no string begins here")
    end = colon + 1 + int(data[at:colon])
    if end > len(data):
        raise _wrong(at, "a string longer than the message")
    return data[colon + 1 : end], end


def _read_integer(data: bytes, at: int) -> tuple[int, int]:
    end = data.find(b"e", at, at + INTEGER_CHARS_MAX + 2)
    text = data[at + 1 : end] if end > 0 else b""
    if not text.removeprefix(b"-").isdigit():
        raise _wrong(at, "no integer of 64 bits")
    return int(text), end + 1


def _wrong(at: int, rule: str) -> ProtocolError:
    return ProtocolError(f"bad bencoding at byte {at}: {rule}")
