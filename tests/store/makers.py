"""Inputs for the store's tests: seeded bytes, small trees, and a walk that compares everything."""

import os
import random
import stat
from pathlib import Path

from strew.content.manifest import Manifest
from strew.store.store import ChunkStore

KIB = 1024
MIB = 1024 * KIB


def noise(size_bytes: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


def write_file(path: Path, size_bytes: int = 600 * KIB, seed: int = 1) -> Path:
    path.write_bytes(noise(size_bytes, seed))
    return path


def write_tree(root: Path, seed: int = 1) -> Path:
    """Files large, small and empty, folders empty and nested, links, odd modes and names."""
    root.mkdir()
    (root / "bin").mkdir(mode=0o750)
    (root / "empty folder").mkdir(mode=0o700)
    (root / "lib/deep/er").mkdir(parents=True)
    write_file(root / "big", 500 * KIB, seed)
    write_file(root / "bin/run", 3 * KIB, seed + 1).chmod(0o755)
    write_file(root / "lib/secret", 100, seed + 2).chmod(0o400)
    (root / "lib/empty").touch(mode=0o644)
    (root / "lib/deep/caf\u00e9").write_text("x")
    for index in range(40):
        write_file(root / f"lib/deep/er/{index:02}", 700 + index, seed + index)
    (root / "lib/deep/er").chmod(0o555)
    (root / "link").symlink_to("bin/run")
    (root / "lib/up").symlink_to("../big")
    (root / "lib/nowhere").symlink_to("missing")
    root.chmod(0o751)
    return root


def portrait(root: Path) -> dict[str, tuple[int, bytes]]:
    """Path -> (mode, content or link's text) of all that is below, and of the root itself."""
    seen = {"": (stat.S_IMODE(root.lstat().st_mode), b"")}
    if root.is_file():
        return {"": (stat.S_IMODE(root.lstat().st_mode), root.read_bytes())}
    for folder, folder_names, file_names in os.walk(root):
        for name in folder_names + file_names:
            path = Path(folder, name)
            key = path.relative_to(root).as_posix()
            if path.is_symlink():
                seen[key] = (0o777, os.fsencode(os.readlink(path)))
            else:
                content = b"" if path.is_dir() else path.read_bytes()
                seen[key] = (stat.S_IMODE(path.lstat().st_mode), content)
    return seen


def copy_chunks(
    source: ChunkStore, sink: ChunkStore, manifest: Manifest, at_most: int = 1 << 20
) -> int:
    """Put missing chunks of one store into another; how many."""
    copied = 0
    for index in sink.bitfield(manifest.id).missing():
        if copied == at_most:
            break
        sink.put(manifest.id, index, source.read(manifest.id, index))
        copied += 1
    return copied


def fetch(store: ChunkStore, origin: ChunkStore, manifest: Manifest, target: Path | None) -> Path:
    store.begin(manifest, target)
    copy_chunks(origin, store, manifest)
    return store.finish(manifest.id)


def overwrite(path: Path, offset_bytes: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset_bytes)
        file.write(data)


def write_bytes(path: Path, data: bytes | bytearray) -> Path:
    path.write_bytes(data)
    return path
