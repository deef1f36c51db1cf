"""Patterns over names: which references a node follows, and for which a key is trusted.

A pattern is a reference (see strew.content.reference) in which ``*``, ``?`` and ``[..]`` are wild
as in a shell; one without a tag matches every tag.
"""

from fnmatch import fnmatchcase


def whole_pattern(pattern: str) -> str:
    """The pattern with its tag."""
    return pattern if ":" in pattern else f"{pattern}:*"


def matches(pattern: str, reference: str) -> bool:
    """Whether `pattern` matches ``NAME:TAG``; case counts."""
    return fnmatchcase(reference, whole_pattern(pattern))
