"""Manifests that break one rule each, in exact bytes, and what the refusal says.

They are packed here by hand: what makes honest ones refuses to make these.
"""

import struct
from collections.abc import Callable
from typing import Any

import msgspec

from strew.content.chunker import params_for
from strew.content.digest import digest_of
from strew.content.manifest import ENTRIES_MAX, MAGIC, MANIFEST_BYTES_MAX

CONTENT = b"x" * 300
_PARAMS = params_for(len(CONTENT))


def body() -> dict[str, Any]:
    """A good manifest's map: a folder with one file of one chunk."""
    return {
        "name": "app",
        "tree": True,
        "mode": 0o755,
        "size_bytes": len(CONTENT),
        "params": msgspec.to_builtins(_PARAMS),
        "entries": [["file", "file", 0o644, len(CONTENT), ""]],
        "lengths": struct.pack("<I", len(CONTENT)),
        "digests": digest_of(CONTENT),
    }


def packed(**changed: Any) -> bytes:
    """Its bytes, with some of the fields changed."""
    return MAGIC + msgspec.msgpack.encode(body() | changed)


def with_path(path: str, kind: str = "file") -> bytes:
    """The file at another path."""
    return packed(entries=[[path, kind, 0o644, len(CONTENT), ""]])


def with_entries(*entries: tuple[str, str, int, str]) -> bytes:
    """Empty files (or what is said) beside the one that holds the content."""
    made = [[path, kind, 0o644, size, target] for path, kind, size, target in entries]
    return packed(entries=sorted([*made, ["zz", "file", 0o644, len(CONTENT), ""]]))


def without(key: str) -> bytes:
    fields = body()
    del fields[key]
    return MAGIC + msgspec.msgpack.encode(fields)


def two_chunks(**changed: Any) -> bytes:
    half = len(CONTENT) // 2
    fields = {"lengths": struct.pack("<II", half, half), "digests": digest_of(CONTENT[:half]) * 2}
    return packed(**(fields | changed))


def deep(depth: int) -> bytes:
    return MAGIC + b"\x91" * depth + b"\x90"


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "does not start"),
    "HTML": (lambda: b"<!doctype html><title>Log in</title>", "does not start"),
    "only the magic": (lambda: MAGIC, "bad manifest"),
    "cut off in the middle": (lambda: packed()[:-40], "bad manifest"),
    "one byte short": (lambda: packed()[:-1], "bad manifest"),
    "bytes behind the end": (lambda: packed() + b"\x00", "bad manifest"),
    "version 2": (lambda: MAGIC[:-1] + b"\x02" + packed()[len(MAGIC) :], "version is not 1"),
    "version 255": (lambda: MAGIC[:-1] + b"\xff" + packed()[len(MAGIC) :], "version is not 1"),
    "nested 100,000 deep": (lambda: deep(100_000), "bad manifest"),
    "a list": (lambda: MAGIC + msgspec.msgpack.encode([1, 2, 3]), "bad manifest"),
    "a map of 2^32 that is not there": (lambda: MAGIC + b"\xdf\xff\xff\xff\xff", "bad manifest"),
    "an unknown field": (lambda: packed(extra=1), "bad manifest"),
    **{f"no {key}": ((lambda key=key: without(key)), "bad manifest") for key in body()},
    "a name of bytes": (lambda: packed(name=b"app"), "bad manifest"),
    "a size as text": (lambda: packed(size_bytes="300"), "bad manifest"),
    "digests as text": (lambda: packed(digests="d" * 32), "bad manifest"),
    "entries as a map": (lambda: packed(entries={}), "bad manifest"),
    "a kind that is none": (lambda: with_path("file", "fifo"), "bad manifest"),
    "an entry of three": (lambda: packed(entries=[["file", "file"]]), "bad manifest"),
    "a digest of 31 bytes": (lambda: packed(digests=bytes(31)), "digests 32"),
    "an empty digest": (lambda: packed(digests=b""), "0 digests for 1"),
    "fewer digests than chunks": (lambda: two_chunks(digests=bytes(32)), "1 digests for 2"),
    "more digests than chunks": (lambda: packed(digests=bytes(64)), "2 digests for 1"),
    "lengths of 3 bytes": (lambda: packed(lengths=bytes(3)), "4 bytes each"),
    "a chunk of no bytes": (
        lambda: two_chunks(lengths=struct.pack("<II", 0, 300)),
        "chunk lengths",
    ),
    "a chunk of 4 GiB": (lambda: packed(lengths=b"\xff" * 4), "chunk lengths"),
    "lengths that do not add up": (lambda: packed(lengths=struct.pack("<I", 299)), "add up"),
    "a negative size": (lambda: packed(size_bytes=-1), "size must be"),
    "a size of 2^63": (lambda: packed(size_bytes=1 << 63), "size must be"),
    "a size over 2^64": (
        lambda: packed().replace(
            b"size_bytes\xcd\x01\x2c", b"size_bytes\xc7\x09\x00" + b"\xff" * 9
        ),
        "bad manifest",
    ),
    "files that do not add up": (
        lambda: packed(entries=[["file", "file", 0o644, 299, ""]]),
        "sizes of files",
    ),
    "a file of negative size": (
        lambda: packed(entries=[["a", "file", 420, -300, ""], ["b", "file", 420, 600, ""]]),
        "sizes must be",
    ),
    "a set-uid bit": (lambda: packed(entries=[["file", "file", 0o4755, 300, ""]]), "modes"),
    "a set-uid folder": (lambda: packed(mode=0o2755), "modes"),
    "parameters of another cutter": (
        lambda: packed(params=msgspec.to_builtins(_PARAMS) | {"average_bytes": 12345}),
        "",
    ),
    "an absolute path": (lambda: with_path("/etc/passwd"), "relative"),
    "a path out of it": (lambda: with_path("../x"), "'..'"),
    "a path through it": (lambda: with_path("a/../../x"), "'..'"),
    "a path with an empty part": (lambda: with_path("a//b"), "empty"),
    "a path of one dot": (lambda: with_path("."), "'.'"),
    "no path": (lambda: with_path(""), "empty"),
    "a path that ends in a slash": (lambda: with_path("a/"), "empty"),
    "a NUL in a path": (lambda: with_path("a\0b"), "control"),
    "a line end in a path": (lambda: with_path("a\nb"), "control"),
    "an escape in a path": (lambda: with_path("a\x1b[2Jb"), "control"),
    "U+202E in a path": (lambda: with_path("a\u202egnp.exe"), "direction"),
    "a backslash in a path": (lambda: with_path("a\\b"), "forbidden"),
    "a path not in form C": (lambda: with_path("cafe\u0301"), "normal form C"),
    "a component of 256 bytes": (lambda: with_path("a" * 256), "255"),
    "a path of 33 parts": (lambda: with_path("/".join("a" * 33)), "32"),
    "bytes that are no UTF-8": (lambda: packed().replace(b"\xa4file", b"\xa4\xff\xfele", 1), "bad"),
    "paths equal after case-fold": (
        lambda: with_entries(("A", "file", 0, ""), ("a", "file", 0, "")),
        "upper and lower case",
    ),
    "the same path twice": (
        lambda: with_entries(("a", "file", 0, ""), ("a", "file", 0, "")),
        "occur once",
    ),
    "a file that is a folder, too": (
        lambda: with_entries(("a", "file", 0, ""), ("a/b", "file", 0, "")),
        "its folder must be",
    ),
    "a file without its folder": (lambda: with_entries(("a/b", "file", 0, "")), "its folder must"),
    "a link to an absolute path": (
        lambda: with_entries(("a", "link", 0, "/etc/passwd")),
        "relative",
    ),
    "a link out of it": (lambda: with_entries(("a", "link", 0, "../../etc")), "out of its folder"),
    "a link that climbs late": (
        lambda: with_entries(("a", "link", 0, "b/../../x")),
        "only in front",
    ),
    "a file inside a link": (
        lambda: with_entries(("a", "link", 0, "zz"), ("a/b", "file", 0, "")),
        "its folder must be",
    ),
    "a link with a size": (lambda: with_entries(("a", "link", 5, "zz")), ""),
    "a name with a slash": (lambda: packed(name="../app"), "'/'"),
    "a name of two dots": (lambda: packed(name=".."), "'..'"),
    "a hidden direction in the name": (lambda: packed(name="app\u2066"), "direction"),
    "a single file of another name": (lambda: packed(tree=False), "single file"),
    "too many entries": (
        lambda: packed(entries=[[f"{n:06}", "file", 420, 0, ""] for n in range(ENTRIES_MAX + 1)]),
        "more than",
    ),
    "more than 16 MiB": (lambda: MAGIC + bytes(MANIFEST_BYTES_MAX), "larger than"),
}
