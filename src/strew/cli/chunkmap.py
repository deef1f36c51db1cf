"""The map of chunks x machines as pixels: two machines in one character of a terminal.

Colours tell where chunks came from and how much of a column is there. They are those of Okabe and
Ito (https://jfly.uni-koeln.de/color/), which people with any colour vision can tell apart.
"""

from collections.abc import Sequence
from typing import Final

from strew.telemetry.cells import LEVELS, NOTHING
from strew.telemetry.protocol import Source

Colour = tuple[int, int, int]

GROUND: Final[Colour] = (38, 42, 48)
"""Nothing is there yet."""

BEYOND: Final[Colour] = (18, 20, 23)
"""No machine is there."""

COLOURS: Final[dict[Source, Colour]] = {
    Source.ORIGIN: (230, 159, 0),
    Source.NEAR: (86, 180, 233),
    Source.FAR: (204, 121, 167),
    Source.LOCAL: (160, 160, 160),
}

FAINTEST = 0.3
"""How much of its colour a column has in which there is a little."""

SAMPLES_MAX = 4
"""Machines, and columns, looked at for one pixel of a map that is larger than its place: a picture
of 3000 machines costs no more than one of 300."""


def _shades() -> dict[str, Colour]:
    """The colour of each character of a board's cells."""
    found = {NOTHING: GROUND}
    for source, colour in COLOURS.items():
        for level in range(1, LEVELS + 1):
            share = FAINTEST + (1.0 - FAINTEST) * level / LEVELS
            mixed = [round(g + (c - g) * share) for g, c in zip(GROUND, colour, strict=True)]
            found[chr(ord(NOTHING) + 10 * (source - 1) + level)] = (mixed[0], mixed[1], mixed[2])
    return found


_SHADES = _shades()


def pixels(rows: Sequence[str], columns: int, lines: int) -> list[list[Colour]]:
    """`lines` lines of `columns` pixels of these machines' cells: binned if there are more, and a
    line for each if there are fewer, those below empty."""
    count = len(rows)
    picture: list[list[Colour]] = []
    for line in range(lines):
        if count <= lines:
            picked = rows[line : line + 1]
        else:
            picked = _spaced(rows, line * count // lines, (line + 1) * count // lines)
        picture.append(_line(picked, columns) if picked else [BEYOND] * columns)
    return picture


def _spaced(rows: Sequence[str], start: int, end: int) -> Sequence[str]:
    """Some of the rows from start to end, evenly spaced."""
    step = max(1, -(-(end - start) // SAMPLES_MAX))
    return rows[start:end:step]


def _line(rows: Sequence[str], columns: int) -> list[Colour]:
    width = len(rows[0])
    if not width:
        return [GROUND] * columns
    spans = []
    for column in range(columns):
        start = column * width // columns
        end = max(start + 1, (column + 1) * width // columns)
        spans.append((start, end, max(1, -(-(end - start) // SAMPLES_MAX))))
    return [
        _mean([_SHADES.get(cell, GROUND) for row in rows for cell in row[start:end:step]])
        for start, end, step in spans
    ]


def _mean(colours: list[Colour]) -> Colour:
    count = len(colours)
    if count == 1:
        return colours[0]
    if not count:
        return GROUND
    red, green, blue = (sum(channel) // count for channel in zip(*colours, strict=True))
    return red, green, blue
