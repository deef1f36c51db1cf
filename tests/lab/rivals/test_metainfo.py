"""Bencoding, as BEP 3 has it, and the metainfo of a small file."""

import hashlib
from pathlib import Path

import pytest

from strew.lab.rivals.metainfo import Bencodable, bencode, describe


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, b"i3e"),
        (-3, b"i-3e"),
        (0, b"i0e"),
        (b"spam", b"4:spam"),
        ("ä", b"2:\xc3\xa4"),
        ({}, b"de"),
        ({"spam": b"eggs", "cow": {"moo": 1}}, b"d3:cowd3:mooi1ee4:spam4:eggse"),
    ],
)
def test_bencode(value: Bencodable, expected: bytes) -> None:
    assert bencode(value) == expected


def test_a_file_is_described_piece_by_piece(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"aaaabb")
    torrent = describe(path, 4, "http://origin/announce")
    assert torrent.pieces == 2
    pieces = hashlib.sha1(b"aaaa").digest() + hashlib.sha1(b"bb").digest()
    info = b"d6:lengthi6e4:name5:input12:piece lengthi4e6:pieces40:" + pieces + b"e"
    assert torrent.raw == b"d8:announce22:http://origin/announce4:info" + info + b"e"
    assert describe(path, 4).raw == b"d4:info" + info + b"e"
