"""The metainfo file of BitTorrent, and the encoding that it and its tracker's answers share.

Source: BEP 3, "bencoding" and "metainfo files".
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

ANNOUNCE_PATH = "/announce"
"""Of the tracker's URL."""

Bencodable: TypeAlias = "int | bytes | str | Mapping[str, Bencodable]"


@dataclass(frozen=True, slots=True)
class Torrent:
    """One file's metainfo: the bytes of the file that describes it, and how many pieces it has."""

    raw: bytes
    pieces: int


def bencode(value: Bencodable) -> bytes:
    """A value as BEP 3 writes it; keys of dictionaries in the order of their bytes."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    pairs = sorted((key.encode(), each) for key, each in value.items())
    return b"d" + b"".join(bencode(key) + bencode(each) for key, each in pairs) + b"e"


def describe(path: Path, piece_bytes: int, announce: str = "") -> Torrent:
    """Hash a file into pieces of this many bytes; `announce` is the URL of its tracker, if any.

    OSError if it cannot be read.
    """
    assert piece_bytes > 0
    digests = []
    with path.open("rb") as file:
        while piece := file.read(piece_bytes):
            digests.append(hashlib.sha1(piece, usedforsecurity=False).digest())
    info: Bencodable = {
        "length": path.stat().st_size,
        "name": path.name,
        "piece length": piece_bytes,
        "pieces": b"".join(digests),
    }
    outer = {"info": info} | ({"announce": announce} if announce else {})
    return Torrent(bencode(outer), len(digests))
