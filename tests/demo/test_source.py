"""The bytes that are spread."""

import os
import tempfile
from pathlib import Path

import pytest
from blake3 import blake3

from strew.demo.source import STEP_BYTES, cut, digest_of_files, held_source, make_source

SIZE_BYTES = 2 * STEP_BYTES + 12_345


def test_the_same_size_is_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    one, two = make_source(tmp_path, SIZE_BYTES), make_source(tmp_path / "again", SIZE_BYTES)
    written = one.path.read_bytes()
    assert len(written) == one.size_bytes == SIZE_BYTES
    assert one.digest == two.digest == blake3(written).digest()


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_parts_make_the_whole(tmp_path: Path, count: int) -> None:
    source = make_source(tmp_path, SIZE_BYTES)
    parts = cut(source, tmp_path, count)
    sizes = [part.stat().st_size for part in parts]
    assert len(parts) == count
    assert max(sizes) - min(sizes) <= 1
    assert b"".join(part.read_bytes() for part in parts) == source.path.read_bytes()
    assert digest_of_files(parts) == source.digest
    assert count == 1 or digest_of_files(parts[::-1]) != source.digest


async def test_a_held_source_goes_with_all_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with held_source("lab", SIZE_BYTES, 1, mark="7-") as source:
        assert source.path.parent.name.startswith("strew-lab-7-")
        assert digest_of_files([source.path]) == source.digest
        (source.path.parent / "copy").write_text("x")
    assert not os.listdir(tmp_path)
