"""One machine's row in the map of chunks, as text: a character for each column.

Column k of n is chunks k*count//n to (k+1)*count//n - 1. A character tells how much of its column
is there, in nine levels, the last only when all of it is, and where most of it came from.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

from strew.telemetry.protocol import COLUMNS_MAX, Source

NOTHING = "("
"""Nothing of the column is there."""

LEVELS = 9

GAP_MAX = 10
"""Unchanged characters told again between two that changed: a run of its own costs so many."""

_FIRST = ord(NOTHING)
_TO_LEVELS = [
    str.maketrans({"0": NOTHING, "1": chr(_FIRST + 10 * (source - 1) + LEVELS)})
    for source in (Source.ORIGIN, Source.NEAR, Source.FAR, Source.LOCAL)
]


def columns_of(chunk_count: int) -> int:
    """How many columns an artifact has."""
    return min(COLUMNS_MAX, chunk_count)


def cell(source: int, level: int) -> str:
    """The character of a column of which something (level 1 to 9) is there."""
    return chr(_FIRST + 10 * (source - 1) + level)


def cells_of(bits: int, chunk_count: int, sources: str, *, otherwise: Source) -> str:
    """The row of a machine that has `bits`. `sources` has a digit of Source for each column, or is
    empty; a column of which it tells nothing came from `otherwise`."""
    columns = columns_of(chunk_count)
    if not bits:
        return NOTHING * columns
    if len(sources) != columns:
        sources = ""
    if bits == (1 << chunk_count) - 1:
        if not sources:
            return cell(otherwise, LEVELS) * columns
        told = (int(digit) or int(otherwise) for digit in sources)
        return "".join([cell(source, LEVELS) for source in told])
    digits = f"{bits:0{chunk_count}b}"[::-1]
    if columns == chunk_count and not sources:
        return digits.translate(_TO_LEVELS[otherwise - 1])
    texts = sources.replace("0", str(int(otherwise))) or str(int(otherwise)) * columns
    return "".join(
        [
            by_source[digit][digits.count("1", start, end)]
            for (start, end, by_source), digit in zip(_edges(chunk_count), texts, strict=True)
        ]
    )


@lru_cache(maxsize=16)
def _edges(chunk_count: int) -> tuple[tuple[int, int, dict[str, str]], ...]:
    """Of each column: its first chunk, that after its last, and what it reads with so many chunks
    of a source. A board's thousand rows change all the time and have these in common."""
    columns = columns_of(chunk_count)
    ends = [k * chunk_count // columns for k in range(columns + 1)]
    return tuple((start, end, _characters(end - start)) for start, end in pairwise(ends))


@lru_cache(maxsize=32)
def _characters(width: int) -> dict[str, str]:
    """By source's digit: the characters of a column of so many chunks with 0, 1, 2, ... there."""
    levels = [1 + here * (LEVELS - 1) // width for here in range(1, width)] + [LEVELS]
    return {
        str(int(source)): NOTHING + "".join(cell(source, level) for level in levels)
        for source in Source
        if source is not Source.MISSING
    }


def runs_changed(before: str, after: str) -> Iterator[tuple[int, str]]:
    """Where `after` differs: from which column on it reads how. Both are equally long."""
    if before == after:
        return
    changed = [k for k, (was, now) in enumerate(zip(before, after, strict=True)) if was != now]
    start = last = changed[0]
    for k in changed[1:]:
        if k - last > GAP_MAX:
            yield start, after[start : last + 1]
            start = k
        last = k
    yield start, after[start : last + 1]
