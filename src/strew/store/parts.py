"""The `.part` of a download: made, resumed, dressed, flushed, swapped into place, removed.

Beside the target lie `.strew-NAME-ID.part` (a file, or a folder for a tree) and, for its claims,
`.strew-NAME-ID.have`. Both are hidden and private (mode 0600, 0700) until the swap.
"""

import os
import stat

from strew.content.digest import ArtifactId
from strew.content.manifest import Manifest
from strew.errors import DiskError
from strew.store import shape
from strew.store.claims import Claims
from strew.store.folders import (
    OPEN_FOLDER,
    OPEN_SAFELY,
    chmod_in,
    exchange,
    folder_of,
    kind_at,
    kind_in,
    remove_in,
)
from strew.store.placement import Placement
from strew.store.pool import FilePool
from strew.store.posix import (
    disk_error,
    free_bytes_at,
    is_no_room,
    no_room_error,
    preallocate,
)

_NAME_BYTES_MAX = 180
"""Of the target's name in the hidden one; the rest of NAME_MAX (255) is for prefix, id, suffix."""

_ID_CHARS = 12
"""Of the artifact's id in the hidden name: two versions of one name get different parts."""

_OWNER_FILE = 0o600
_OWNER_FOLDER = 0o700


class Part:
    """An open `.part`. `claimed`: a byte per chunk, 1 where a former run claims to have it."""

    __slots__ = ("claimed", "claims", "placement")

    def __init__(self, placement: Placement, claims: Claims, claimed: bytes) -> None:
        self.placement = placement
        self.claims = claims
        self.claimed = claimed


def part_path(root: str, artifact: ArtifactId) -> str:
    """Where the `.part` of a download to `root` lies."""
    return _hidden(root, artifact, "part")


def claims_path(root: str, artifact: ArtifactId) -> str:
    """Where its claims lie."""
    return _hidden(root, artifact, "have")


def open_part(pool: FilePool, manifest: Manifest, root: str) -> Part:
    """Create or resume the `.part` of a download to `root`.

    DiskError names what is missing: space (before anything is written, as far as can be known),
    permission, or that something else bears the hidden name.
    """
    path = part_path(root, manifest.id)
    fresh = True
    try:
        with folder_of(path) as (folder_fd, name):
            fresh = kind_in(folder_fd, name) == ""
            if fresh:
                _require_room(path, manifest.size_bytes)
            claims = _hidden_name(root, manifest.id, "have")
            loaded = _open_in(folder_fd, name, claims, manifest)
    except OSError as error:
        if is_no_room(error):
            if fresh:
                remove_part(root, manifest.id)
            raise no_room_error(path, manifest.size_bytes, _free_bytes(path)) from None
        raise disk_error(error, "prepare", path) from None
    return Part(Placement(pool, path, manifest.is_tree), *loaded)


def _open_in(folder_fd: int, name: str, claims: str, manifest: Manifest) -> tuple[Claims, bytes]:
    """Make or take up what lies in an open folder; its claims, and what they claim."""
    count = manifest.chunk_count
    if not manifest.is_tree:
        inode, resumed = _make_file(folder_fd, name, manifest)
        loaded = Claims.load(folder_fd, claims, inode, count) if resumed else None
    else:
        inode, resumed = _make_tree(folder_fd, name)
        loaded = Claims.load(folder_fd, claims, inode, count) if resumed else None
        if loaded is None and resumed:
            # Claims lost, or speaking of another folder: strangers may lie in it. Start anew.
            remove_in(folder_fd, name)
            inode, _ = _make_tree(folder_fd, name)
        root_fd = os.open(name, OPEN_FOLDER, dir_fd=folder_fd)
        try:
            shape.fill(root_fd, manifest)
        finally:
            os.close(root_fd)
    return loaded or (Claims.create(folder_fd, claims, inode, count), bytes(count))


def is_claimed(root: str, manifest: Manifest) -> bool:
    """Whether a `.part` with claims of its own was begun (and not swapped in already)."""
    try:
        with folder_of(part_path(root, manifest.id)) as (folder_fd, name):
            inode = os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_ino
            claims = _hidden_name(root, manifest.id, "have")
            loaded = Claims.load(folder_fd, claims, inode, manifest.chunk_count)
    except OSError:
        return False
    if loaded is not None:
        loaded[0].close()
    return loaded is not None


def claimed_count(root: str, artifact: ArtifactId) -> int:
    """How many chunks an interrupted download claims to have."""
    return Claims.count(claims_path(root, artifact))


def remove_part(root: str, artifact: ArtifactId) -> None:
    """Delete a `.part` and its claims; nothing there is fine, nor the folder, also where a file has
    its name now."""
    if kind_at(os.path.dirname(root)) == "file":
        return
    try:
        with folder_of(root) as (folder_fd, _):
            for suffix in ("have", "part"):
                remove_in(folder_fd, _hidden_name(root, artifact, suffix))
    except FileNotFoundError:
        return
    except OSError as error:
        raise disk_error(error, "remove", part_path(root, artifact)) from None


def swap_in(root: str, artifact: ArtifactId) -> None:
    """Give the finished `.part` its name, atomically; what was there bears its name then, if any.

    Its claims are spent, and go in the same flush of the folder. OSErrors pass.
    """
    with folder_of(root) as (folder_fd, name):
        part_name = _hidden_name(root, artifact, "part")
        there = kind_in(folder_fd, name)
        if there == "" or (kind_in(folder_fd, part_name) == "file" and there != "dir"):
            os.rename(part_name, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        else:
            exchange(folder_fd, part_name, name)
        remove_in(folder_fd, _hidden_name(root, artifact, "have"))
        os.fsync(folder_fd)


def _hidden(root: str, artifact: ArtifactId, suffix: str) -> str:
    return os.path.join(os.path.dirname(root), _hidden_name(root, artifact, suffix))


def _hidden_name(root: str, artifact: ArtifactId, suffix: str) -> str:
    short = os.fsdecode(os.fsencode(os.path.basename(root))[:_NAME_BYTES_MAX])
    hex_start = artifact.removeprefix("blake3:")[:_ID_CHARS]
    return f".strew-{short}-{hex_start}.{suffix}"


def _require_room(path: str, need_bytes: int) -> None:
    free_bytes = _free_bytes(path)
    if need_bytes > free_bytes:
        raise no_room_error(path, need_bytes, free_bytes)


def _free_bytes(path: str) -> int:
    return free_bytes_at(os.path.dirname(path))


def _make_file(folder_fd: int, name: str, manifest: Manifest) -> tuple[int, bool]:
    """Create or open the `.part` of a single file; (inode, whether it was there)."""
    there = kind_in(folder_fd, name)
    if there not in ("", "file"):
        raise _stranger(name, "not a regular file")
    fd = os.open(name, os.O_RDWR | os.O_CREAT | OPEN_SAFELY, _OWNER_FILE, dir_fd=folder_fd)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise _stranger(name, "not a regular file")
        if status.st_nlink != 1 or status.st_uid != os.geteuid():
            raise _stranger(name, "linked elsewhere or of another user")
        os.fchmod(fd, _OWNER_FILE)
        if manifest.size_bytes:
            preallocate(fd, manifest.size_bytes)
        os.ftruncate(fd, manifest.size_bytes)
    finally:
        os.close(fd)
    return status.st_ino, bool(there)


def _make_tree(folder_fd: int, name: str) -> tuple[int, bool]:
    """Create or open the `.part` folder of a tree; (inode, whether it was there)."""
    there = kind_in(folder_fd, name)
    if there not in ("", "dir"):
        raise _stranger(name, "not a folder")
    if not there:
        os.mkdir(name, _OWNER_FOLDER, dir_fd=folder_fd)
    status = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    if status.st_uid != os.geteuid():
        raise _stranger(name, "of another user")
    chmod_in(folder_fd, name, _OWNER_FOLDER | status.st_mode & stat.S_ISGID)
    return status.st_ino, bool(there)


def _stranger(name: str, what: str) -> DiskError:
    return DiskError(f"cannot use {name!r}: it is {what}", hint="remove it, then try again")
