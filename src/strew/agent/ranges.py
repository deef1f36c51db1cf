"""The header `Range` of a request for a file (RFC 9110, section 14).

One range is served. What asks for several, for another unit than bytes, or cannot be understood is
ignored, as section 14.2 allows, and for unknown units demands: the asker then gets the whole file,
and sees by the status that it did.
"""

import re
from typing import NamedTuple

_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.ASCII | re.IGNORECASE)

DIGITS_MAX = 18
"""No file has positions of more digits. Python reads numbers of up to 4300 digits, slower the
longer, and refuses longer ones."""

POSITION_MAX = 10**DIGITS_MAX
"""What a longer number counts as: behind every file's end."""


class Part(NamedTuple):
    """Bytes `first` up to but without `end` of a file."""

    first: int
    end: int

    @property
    def empty(self) -> bool:
        """Whether the file has no byte that was asked for: to be answered by 416."""
        return self.first >= self.end


def part_asked_for(header: str, size_bytes: int) -> Part | None:
    """The part of a file of `size_bytes` that a Range header asks for; None if it is to be ignored.

    A part that is not empty lies within the file.
    """
    found = _ONE_RANGE.fullmatch(header)
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return Part(max(size_bytes - _position(found[2]), 0), size_bytes)
    first = _position(found[1])
    if not found[2]:
        return Part(first, size_bytes)
    last = _position(found[2])
    return Part(first, min(last + 1, size_bytes)) if first <= last else None


def _position(text: str) -> int:
    digits = text.lstrip("0")
    return int(digits or "0") if len(digits) <= DIGITS_MAX else POSITION_MAX
