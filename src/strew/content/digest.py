"""Digests and the names made of them (BLAKE3, 256 bits).

Specification: https://github.com/BLAKE3-team/BLAKE3-specs (plain hash mode, 32 bytes of output).
"""

import re
from typing import NewType

from blake3 import blake3

from strew.errors import UsageError

Digest = NewType("Digest", bytes)
"""32 bytes: BLAKE3-256 of a chunk."""

ArtifactId = NewType("ArtifactId", str)
"""`blake3:` and 64 lowercase hex digits: BLAKE3-256 of a manifest's exact bytes."""

DIGEST_BYTES = 32
ARTIFACT_ID_PREFIX = "blake3:"
_ARTIFACT_ID = re.compile(r"blake3:[0-9a-f]{64}", re.ASCII)
_ID_TEXT_CHARS_SHOWN = 80
"""A wrong id is quoted in the error only so far: it may be a whole pasted file."""


def digest_of(buffer: bytes | bytearray | memoryview) -> Digest:
    """Hash a whole buffer. Releases the GIL while it works."""
    return Digest(blake3(buffer).digest())


def artifact_id_of(manifest_bytes: bytes) -> ArtifactId:
    """Name an artifact by its manifest's exact bytes."""
    return ArtifactId(ARTIFACT_ID_PREFIX + blake3(manifest_bytes).hexdigest())


def parse_artifact_id(text: str) -> ArtifactId:
    """Accept an artifact id as typed or received; UsageError unless it is exactly one."""
    if _ARTIFACT_ID.fullmatch(text) is None:
        raise UsageError(
            f"not an artifact id: {text[:_ID_TEXT_CHARS_SHOWN]!r}",
            hint="an id is 'blake3:' followed by 64 lowercase hex digits",
        )
    return ArtifactId(text)
