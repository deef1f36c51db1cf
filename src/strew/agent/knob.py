"""What there is to know about one setting, and the readers of values that are no quantities.

Each reader takes the text of a flag, a variable or the file, and raises UsageError.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from strew.agent.quantity import UNLIMITED, exact_size, parse_size
from strew.content.reference import Address, parse_address
from strew.errors import UsageError

ZONE_MAX_CHARS = 64

HOST_MAX_CHARS = 253
"""As DNS has it (RFC 1035, section 2.3.4)."""

_HOST_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", re.ASCII)

VALUE_MAX_CHARS = 4096
"""As PATH_MAX on Linux; no value of any kind is longer."""


@dataclass(frozen=True, slots=True)
class Knob:
    """What there is to know about one setting beside its type.

    `parse` reads the text of a flag, a variable or the file and raises UsageError. `default` is
    text of the same form; empty means none. `lowest` and `highest` are limits in `unit`, both
    allowed. `many` knobs take several values: a flag repeated, commas, or a list in the file.
    """

    key: str
    parse: Callable[[str], Any]
    about: str
    default: str = ""
    unit: str = ""
    lowest: float | None = None
    highest: float | None = None
    raising: str = ""
    lowering: str = ""
    many: int = 0
    secret: bool = False

    @property
    def flag(self) -> str:
        return f"--{self.key}"

    @property
    def variable(self) -> str:
        return "STREW_" + self.key.upper().replace("-", "_")

    def read(self, text: str) -> Any:
        """The value of one text, checked against the limits; UsageError names the rule."""
        if len(text) > VALUE_MAX_CHARS:
            raise UsageError(f"longer than {VALUE_MAX_CHARS} characters")
        if "\0" in text:
            raise UsageError("contains a NUL character")
        value = self.parse(text)
        if value is None or not isinstance(value, int | float):
            return value
        if self.lowest is not None and value < self.lowest:
            raise UsageError(
                f"{text!r} is below the smallest, {self.limit_text(self.lowest)}", hint=self.example
            )
        if self.highest is not None and value > self.highest:
            raise UsageError(
                f"{text!r} is above the largest, {self.limit_text(self.highest)}", hint=self.example
            )
        return value

    @property
    def example(self) -> str:
        """A remedy for a value out of range."""
        return "write such as 100M" if self.unit in ("bytes", "bytes/s") else ""

    def limit_text(self, limit: float) -> str:
        """A limit as one would type it."""
        if self.unit in ("bytes", "bytes/s"):
            return exact_size(int(limit))
        return f"{limit:.10g} {self.unit}".rstrip()


def parse_count(text: str) -> int:
    """A whole number from 0 up."""
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{text!r} is not a whole number")
    return int(text)


def parse_host(text: str) -> str:
    """A host name, without port."""
    if len(text) > HOST_MAX_CHARS or not _HOST_NAME.fullmatch(text):
        raise UsageError(
            f"{text[:80]!r} is not a host name", hint="write such as strew.example.org"
        )
    return text.lower()


def parse_listen(text: str) -> Address:
    """HOST:PORT; port 0 is any free one."""
    return parse_address(text, port_min=0)


def parse_folder(text: str) -> Path:
    """A folder, ~ for the home."""
    if not text:
        raise UsageError("the name of the folder is empty")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(f"{text!r}: no home folder is known here", hint="write it out") from None


def parse_file(text: str) -> Path:
    """A file, ~ for the home."""
    if not text:
        raise UsageError("the name of the file is empty")
    return parse_folder(text)


def parse_zone(text: str) -> str:
    """A zone."""
    if len(text) > ZONE_MAX_CHARS or not text.isprintable() or not text.isascii() or " " in text:
        raise UsageError(
            f"{text[:ZONE_MAX_CHARS]!r} is not a zone",
            hint=f"up to {ZONE_MAX_CHARS} ASCII characters without spaces, such as rack-12",
        )
    return text


def parse_collector(text: str) -> str:
    """The address of a collector, without the path that its protocol adds."""
    try:
        url = urlsplit(text)
        good = url.scheme in ("http", "https") and url.hostname and url.port != 0
        good = good and not (url.query or url.fragment)
    except ValueError:
        good = False
    if not good or not text.isprintable() or " " in text:
        raise UsageError(
            f"{text[:80]!r} is not the address of a collector",
            hint="write such as http://collector.example.org:4318",
        )
    return text


def parse_size_or_none(text: str) -> int | None:
    """A size; None for no limit."""
    return None if text.strip().lower() == UNLIMITED else parse_size(text)


def parse_yes_or_no(text: str) -> bool:
    """yes or no."""
    if text not in ("yes", "no"):
        raise UsageError(f"{text!r} is neither yes nor no")
    return text == "yes"


def parse_choice(choices: tuple[str, ...]) -> Callable[[str], str]:
    """A reader that takes one of some words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise UsageError(f"{text!r} is none of {', '.join(choices)}")
        return text

    return parse
