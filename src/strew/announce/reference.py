"""The patterns by which a node follows names; see strew.content.pattern."""

import re
from collections.abc import Callable, Iterable

from strew.content.pattern import matches, whole_pattern
from strew.errors import UsageError
from strew.publication import PATTERN_CHARS_MAX

_PATTERN = re.compile(r"[A-Za-z0-9._/*?\[\]!:-]+", re.ASCII)
_SHOWN_CHARS = 60


def parse_pattern(text: str) -> str:
    """Read a pattern as a user writes it; UsageError names the rule it breaks."""
    if len(text) > PATTERN_CHARS_MAX or text.count(":") > 1 or not _PATTERN.fullmatch(text):
        shown = text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
        raise UsageError(
            f"pattern {shown!a}: a pattern is NAME:TAG in which * ? and [..] are wild",
            hint="for example 'app:*'",
        )
    return whole_pattern(text)


def name_of(reference: str) -> str:
    """NAME of NAME:TAG, which all versions of something have in common."""
    return reference.rpartition(":")[0] or reference


def follows(patterns: Iterable[str], reference: str) -> bool:
    """Whether any of `patterns` matches `reference`; case counts."""
    return any(matches(pattern, reference) for pattern in patterns)


def follower_of(references: Iterable[str]) -> Callable[[tuple[str, ...]], bool]:
    """Whether patterns match any of `references`, asked for many nodes. A fleet has few different
    lists of patterns: each is matched once."""
    names = tuple(references)
    known: dict[tuple[str, ...], bool] = {}

    def is_follower(patterns: tuple[str, ...]) -> bool:
        if patterns not in known:
            known[patterns] = any(follows(patterns, reference) for reference in names)
        return known[patterns]

    return is_follower
