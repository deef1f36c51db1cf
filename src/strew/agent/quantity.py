"""Sizes, rates and durations as people write them, and back.

    sizes      100M = 100 MiB: K, M, G, T count in 1024 (KiB, MiB, ... too); KB, MB, GB, TB in 1000
    rates      a size per second, or Kbit, Mbit, Gbit, Tbit: thousands of BITS per second
    durations  300ms, 5s, 10m, 2h, 1d and sums such as 1h30m; a bare number is seconds

Inside the code sizes are bytes, rates bytes per second and times seconds: bits end here. A unit
whose reading differs from tool to tool (Mb, mb) is refused with both readings named.
"""

import re
from decimal import Decimal
from fractions import Fraction

from strew.errors import UsageError

KIB = 1024
MIB = 1024**2
GIB = 1024**3
TIB = 1024**4

SIZE_MAX_BYTES = 1 << 60
"""An exbibyte: far above any disk here, far below what SQLite's integers hold."""

DURATION_MAX_S = 366 * 86_400
"""A year; a longer wait is a mistyped one."""

UNLIMITED = "unlimited"

_SIZE_UNITS: dict[str, int] = {
    "": 1,
    "B": 1,
    **dict.fromkeys(("K", "k", "KiB"), KIB),
    **dict.fromkeys(("M", "m", "MiB"), MIB),
    **dict.fromkeys(("G", "g", "GiB"), GIB),
    **dict.fromkeys(("T", "t", "TiB"), TIB),
    **dict.fromkeys(("KB", "kB"), 10**3),
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
_BIT_UNITS: dict[str, int] = {
    **dict.fromkeys(("Kbit", "kbit"), 10**3),
    **dict.fromkeys(("Mbit", "mbit"), 10**6),
    **dict.fromkeys(("Gbit", "gbit"), 10**9),
    **dict.fromkeys(("Tbit", "tbit"), 10**12),
}
_DURATION_UNITS_S: dict[str, Fraction] = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86_400),
}
_NUMBER_MAX_CHARS = 24
"""Enough for every byte count below the maximum and its decimals."""

_NUMBER_AND_UNIT = re.compile(r"([0-9]+(?:\.[0-9]+)?)[ ]?([A-Za-z]*)", re.ASCII)
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)", re.ASCII)
_AMBIGUOUS = re.compile(r"([kmgt])(b|i|ib)", re.ASCII | re.IGNORECASE)
_QUOTED_MAX_CHARS = 40

_SIZE_HINT = "write such as 256M (1024-based bytes), 256MB (10^6)"
_RATE_HINT = "write such as 100M (MiB/s), 100MB (10^6 bytes/s), 800Mbit, or unlimited"
_DURATION_HINT = "write such as 300ms, 5s, 10m, 2h or 1h30m"


def parse_size(text: str) -> int:
    """Bytes of a size; a fraction of a byte is dropped. UsageError otherwise."""
    return _parse_quantity(text, "size", _SIZE_UNITS, _SIZE_HINT)


def parse_rate(text: str) -> int | None:
    """Bytes per second, None for `unlimited`. Must be above zero; UsageError otherwise."""
    if text.strip().lower() == UNLIMITED:
        return None
    units = _SIZE_UNITS | _BIT_UNITS
    stripped = text.strip().removesuffix("/s")
    bytes_per_s = _parse_quantity(stripped, "rate", units, _RATE_HINT)
    if bytes_per_s == 0:
        raise UsageError(
            f"{_quoted(text)}: nothing would ever move",
            hint="give at least 1 byte per second, or unlimited",
        )
    return bytes_per_s


def parse_duration(text: str) -> float:
    """Seconds of a duration; UsageError otherwise."""
    compact = text.strip()
    bare = re.fullmatch(r"[0-9]+(\.[0-9]+)?", compact, re.ASCII)
    parts = [(compact, "s")] if bare else _DURATION_PART.findall(compact)
    if (
        not parts
        or len(compact) > _NUMBER_MAX_CHARS
        or (not bare and "".join(number + unit for number, unit in parts) != compact)
    ):
        raise UsageError(f"{_quoted(text)}: not a duration", hint=_DURATION_HINT)
    seconds = sum(
        (Fraction(number) * _DURATION_UNITS_S[unit] for number, unit in parts), Fraction()
    )
    if seconds > DURATION_MAX_S:
        raise UsageError(f"{_quoted(text)}: a duration is at most a year", hint=_DURATION_HINT)
    return float(seconds)


def format_size(size_bytes: int) -> str:
    """For people: three digits and a 1024-based unit, such as `1.50 GiB`; never negative."""
    assert size_bytes >= 0
    if size_bytes < KIB:
        return f"{size_bytes} B"
    value, units = Fraction(size_bytes, KIB), ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    while value >= 1000 and len(units) > 1:  # 1023 would take four digits, 1.00 takes three
        value /= 1024
        units.pop(0)
    unit = units[0]
    decimals = 2 if value < Fraction("9.995") else 1 if value < Fraction("99.95") else 0
    return f"{float(value):.{decimals}f} {unit}"


def format_rate(rate_bytes_per_s: float | None) -> str:
    """For people: `24.0 MiB/s`, or `unlimited`."""
    return UNLIMITED if rate_bytes_per_s is None else f"{format_size(int(rate_bytes_per_s))}/s"


def format_rate_both(rate_bytes_per_s: int | None) -> str:
    """A rate as understood: in bytes and in bits, so that a wrong unit is seen at once."""
    if rate_bytes_per_s is None:
        return UNLIMITED
    bits = rate_bytes_per_s * 8
    for unit, scale in (("Gbit/s", 10**9), ("Mbit/s", 10**6), ("kbit/s", 10**3)):
        if bits >= scale:
            return f"{format_rate(rate_bytes_per_s)} = {bits / scale:.4g} {unit}"
    return f"{format_rate(rate_bytes_per_s)} = {bits} bit/s"


def format_duration(duration_s: float) -> str:
    """For people: `0.45 s`, `12.3 s`, `4:05`, `2:03:09`, `3d 04h`; never negative."""
    assert duration_s >= 0
    if duration_s < 60:
        return f"{duration_s:.2f} s" if duration_s < 10 else f"{duration_s:.1f} s"
    minutes, seconds = divmod(round(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24}d {hours % 24:02d}h"
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def exact_size(size_bytes: int) -> str:
    """The shortest text that parse_size reads back as exactly this many bytes."""
    for unit, scale in (("T", TIB), ("G", GIB), ("M", MIB), ("K", KIB)):
        if size_bytes and size_bytes % scale == 0:
            return f"{size_bytes // scale}{unit}"
    return str(size_bytes)


def exact_rate(rate_bytes_per_s: int | None) -> str:
    """The shortest text that parse_rate reads back as exactly this rate."""
    return UNLIMITED if rate_bytes_per_s is None else exact_size(rate_bytes_per_s)


def _parse_quantity(text: str, what: str, units: dict[str, int], hint: str) -> int:
    match = _NUMBER_AND_UNIT.fullmatch(text.strip())
    if match is None or len(match[1]) > _NUMBER_MAX_CHARS:
        raise UsageError(f"{_quoted(text)}: a {what} is a number with a unit", hint=hint)
    number, unit = match[1], match[2]
    if unit not in units:
        raise UsageError(f"{_quoted(text)}: {_why_not(unit, what)}", hint=hint)
    value = Decimal(number) * units[unit]
    size_bytes = int(value / 8 if unit in _BIT_UNITS else value)
    if size_bytes > SIZE_MAX_BYTES:
        raise UsageError(f"{_quoted(text)}: above the largest {what}, {exact_size(SIZE_MAX_BYTES)}")
    return size_bytes


def _why_not(unit: str, what: str) -> str:
    """What is wrong with a unit: bits given as a size, two readings, or no unit at all."""
    if unit in _BIT_UNITS:
        return "bits measure rates, a size is in bytes"
    if _AMBIGUOUS.fullmatch(unit):
        letter = unit[0].upper()
        return f"{unit!r} may mean bits or bytes, write {letter}bit or {letter}B"
    return f"{unit[:_QUOTED_MAX_CHARS]!r} is no unit of a {what}"


def _quoted(text: str) -> str:
    shown = text if len(text) <= _QUOTED_MAX_CHARS else text[: _QUOTED_MAX_CHARS - 1] + "…"
    return repr(shown) if shown.isprintable() else ascii(shown)
