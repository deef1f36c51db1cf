"""One machine's row in the map of chunks, as text: a character for each column.

Column k of n is chunks k*count//n to (k+1)*count//n - 1. A character tells how much of its column
is there, in nine levels, the last only when all of it is, and where most of it came from.
"""

from collections.abc import Iterator

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
    found: list[str] = []
    end = 0
    for column in range(columns):
        start, end = end, (column + 1) * chunk_count // columns
        here = digits.count("1", start, end)
        if not here:
            found.append(NOTHING)
            continue
        width = end - start
        level = LEVELS if here == width else 1 + here * (LEVELS - 1) // width
        source = int(sources[column]) if sources else 0
        found.append(cell(source or int(otherwise), level))
    return "".join(found)


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
