"""Text for terminals: spans in a style, bars and cut lines, all measured in columns.

Whatever came from outside passes `plain` first, so that nobody's zone name moves the cursor.
"""

import unicodedata
from collections.abc import Sequence
from typing import Literal

from strew.cli.output import one_line

Style = Literal["", "bold", "dim", "good", "warn", "bad", "accent"]

Span = tuple[str, Style]
Line = Sequence[Span]

_CODES: dict[Style, str] = {
    "": "",
    "bold": "1",
    "dim": "2",
    "good": "32",
    "warn": "33",
    "bad": "31",
    "accent": "36",
}
"""The terminal's own colours: readable on whatever background its owner chose."""

_EIGHTHS = " ▏▎▍▌▋▊▉"
_LEVELS = "▁▂▃▄▅▆▇█"


def plain(text: str) -> str:
    """A text from outside, as one line without a control character."""
    return one_line(text)


def columns_of(text: str) -> int:
    """How many columns a text takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, columns: int) -> str:
    """The text in at most so many columns, its end an ellipsis if it was longer."""
    if columns_of(text) <= columns:
        return text
    if columns < 1:
        return ""
    kept, used = "", 0
    for character in text:
        used += _columns(character)
        if used > columns - 1:
            break
        kept += character
    return kept.rstrip() + "…"


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """The text in exactly so many columns."""
    text = cut(text, columns)
    blank = " " * (columns - columns_of(text))
    return blank + text if right else text + blank


def bar(ratio: float, columns: int, style: Style = "good") -> Line:
    """A bar of so many columns, full from the left as far as `ratio` (0 to 1) says."""
    ratio = min(1.0, max(0.0, ratio))
    eighths = int(ratio * columns * 8)
    full, rest = divmod(eighths, 8)
    head = "█" * full + (_EIGHTHS[rest] if rest else "")
    return ((head, style), ("·" * (columns - len(head)), "dim"))


def sparkline(values: Sequence[float], columns: int) -> str:
    """The last values as so many columns of different height, the highest of them full."""
    shown = values[-columns:]
    most = max(shown, default=0.0)
    if most <= 0.0:
        return ""
    return "".join(_LEVELS[min(7, int(8 * max(0.0, value) / most))] for value in shown)


def rendered(line: Line, columns: int | None, *, colour: bool) -> str:
    """The line as bytes of a terminal, cut to so many columns; without `colour` its text alone."""
    pieces: list[str] = []
    left = columns
    for text, style in line:
        if left is not None:
            if left <= 0:
                break
            text = cut(text, left)
            left -= columns_of(text)
        code = _CODES[style] if colour else ""
        pieces.append(f"\x1b[{code}m{text}\x1b[0m" if code and text else text)
    return "".join(pieces)


def ascii_only(text: str) -> str:
    """For terminals whose encoding has no blocks, arrows and dots; as many columns as before."""
    return text.translate(_PLAIN)


_PLAIN = str.maketrans("█▉▊▋▌▐▍▎▏▁▂▃▄▅▆▇▀·→…×", '######---__..-==".>~x')
