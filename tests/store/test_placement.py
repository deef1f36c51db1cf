import os
from pathlib import Path

import pytest

from strew.content.manifest import Manifest
from strew.store.ingest import read_manifest, scan
from strew.store.placement import Placement, is_signed, unsign
from strew.store.pool import FilePool
from tests.store.makers import KIB, noise, write_file, write_tree


def placed(path: Path) -> tuple[Manifest, Placement]:
    manifest = read_manifest(scan(path, None), None)
    return manifest, Placement(FilePool(8), str(path), manifest.is_tree)


def test_ranges_are_written_across_files(tmp_path: Path) -> None:
    root = tmp_path / "t"
    (root / "d").mkdir(parents=True)
    for name in ("a", "d/b", "e"):
        write_file(root / name, 10)
    manifest, placement = placed(root)
    placement.write(manifest, 5, memoryview(b"x" * 20))
    assert (root / "a").read_bytes() == noise(10)[:5] + b"x" * 5
    assert (root / "d/b").read_bytes() == b"x" * 10
    assert (root / "e").read_bytes() == b"x" * 5 + noise(10)[5:]
    placement.close_files()


def test_chunks_are_read_across_files(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "t")
    manifest, placement = placed(root)
    content = b"".join(
        (root / entry.path).read_bytes() for entry in manifest.entries if entry.kind == "file"
    )
    for index in range(manifest.chunk_count):
        buffer = memoryview(bytearray(manifest.length(index)))
        assert placement.read_into(manifest, index, buffer)
        start = manifest.offset(index)
        assert buffer == content[start : start + len(buffer)]
    placement.close_files()


def test_a_short_file_is_told(tmp_path: Path) -> None:
    path = write_file(tmp_path / "f")
    manifest, placement = placed(path)
    os.truncate(path, manifest.offset(2) + 10)
    buffer = memoryview(bytearray(128 * KIB))
    assert placement.read_into(manifest, 1, buffer)
    assert not placement.read_into(manifest, 2, buffer)
    placement.close_files()


@pytest.mark.parametrize("where", ["file", "folder"])
def test_links_are_never_followed(tmp_path: Path, where: str) -> None:
    root = tmp_path / "t"
    (root / "d").mkdir(parents=True)
    write_file(root / "d/f", 10)
    manifest, placement = placed(root)
    (tmp_path / "elsewhere").mkdir()
    write_file(tmp_path / "elsewhere/f", 10)
    (root / "d/f").unlink()
    if where == "file":
        (root / "d/f").symlink_to(tmp_path / "elsewhere/f")
    else:
        (root / "d").rmdir()
        (root / "d").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
        placement.acquire(manifest, 1)


def test_a_fifo_in_a_files_place_does_not_block(tmp_path: Path) -> None:
    path = write_file(tmp_path / "f", 10)
    manifest, placement = placed(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(FileNotFoundError):
        placement.acquire(manifest, 0)


def test_open_files_survive_a_move(tmp_path: Path) -> None:
    path = write_file(tmp_path / "f", 10)
    manifest, placement = placed(path)
    file = placement.acquire(manifest, 0)
    placement.move(lambda: path.rename(tmp_path / "g"), str(tmp_path / "g"))  # type: ignore[arg-type, return-value]
    assert os.pread(file.fd, 10, 0) == noise(10)
    placement.release(file)
    placement.close_files()
    placement.release(placement.acquire(manifest, 0))
    placement.close_files()


def test_signatures_notice_a_write(tmp_path: Path) -> None:
    path = write_file(tmp_path / "f", 10)
    os.utime(path, ns=(0, -5))
    manifest, placement = placed(path)
    words = placement.signatures(manifest)
    assert is_signed(words, 0, path.stat())
    os.utime(path)
    assert not is_signed(words, 0, path.stat())
    words = placement.signatures(manifest)
    unsign(words, 0)
    assert not is_signed(words, 0, path.stat())
