"""The `.part` of a download: made, resumed, dressed, flushed, swapped into place, removed.

Beside the target lie `.strew-NAME-ID.part` (a file, or a folder for a tree) and, for its claims,
`.strew-NAME-ID.have`. Both are hidden and private (mode 0600, 0700) until the swap.
"""

import os
import stat

from strew.content.digest import ArtifactId
from strew.content.manifest import Entry, Manifest
from strew.errors import DiskError, UsageError
from strew.store.claims import Claims
from strew.store.placement import Placement
from strew.store.pool import FilePool
from strew.store.posix import (
    OPEN_FOLDER,
    OPEN_SAFELY,
    disk_error,
    exchange,
    free_bytes_at,
    is_no_room,
    kind_at,
    no_room_error,
    preallocate,
    remove,
    sync_file_system,
    sync_folder,
)

_NAME_BYTES_MAX = 180
"""Of the target's name in the hidden one; the rest of NAME_MAX (255) is for prefix, id, suffix."""

_ID_CHARS = 12
"""Of the artifact's id in the hidden name: two versions of one name get different parts."""

_PREALLOCATE_BYTES_MIN = 1024 * 1024
"""Smaller files are only given their length: reserving each of ten thousand costs more than the
check of free space saves."""

_FSYNC_FILES_MAX = 32
"""Trees of more files are flushed with one syncfs: each fsync is a journal commit, milliseconds."""

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
    path, have = part_path(root, manifest.id), claims_path(root, manifest.id)
    fresh = kind_at(path) == ""
    try:
        if fresh:
            _require_room(path, manifest.size_bytes)
        inode, resumed = _make_tree(path) if manifest.is_tree else _make_file(path, manifest)
        loaded = Claims.load(have, inode, manifest.chunk_count) if resumed else None
        if loaded is None and resumed and manifest.is_tree:
            # Claims lost, or speaking of another folder: strangers may lie in it. Start anew.
            remove(path)
            inode, _ = _make_tree(path)
        if manifest.is_tree:
            fill_tree(path, manifest)
        if loaded is None:
            loaded = Claims.create(have, inode, manifest.chunk_count), bytes(manifest.chunk_count)
    except OSError as error:
        if is_no_room(error):
            if fresh:
                remove_part(root, manifest.id)
            raise no_room_error(path, manifest.size_bytes, _free_bytes(path)) from None
        raise disk_error(error, "prepare", path) from None
    return Part(Placement(pool, path, manifest.is_tree), *loaded)


def is_claimed(root: str, manifest: Manifest) -> bool:
    """Whether a `.part` with claims of its own was begun (and not swapped in already)."""
    try:
        inode = os.lstat(part_path(root, manifest.id)).st_ino
        loaded = Claims.load(claims_path(root, manifest.id), inode, manifest.chunk_count)
    except OSError:
        return False
    if loaded is not None:
        loaded[0].close()
    return loaded is not None


def claimed_count(root: str, artifact: ArtifactId) -> int:
    """How many chunks an interrupted download claims to have."""
    return Claims.count(claims_path(root, artifact))


def lies_at(placement: Placement, manifest: Manifest) -> bool:
    """Whether every file is there in its length, and nothing else: worth hashing."""
    for entry in manifest.entries:
        if entry.kind == "file":
            try:
                status = placement.stat(entry.path)
            except OSError:
                return False
            if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size_bytes:
                return False
    if not placement.is_tree:
        return True
    expected = {entry.path for entry in manifest.entries}
    cut = len(placement.root) + 1
    for folder, folder_names, file_names in os.walk(placement.root):
        for name in folder_names + file_names:
            if f"{folder}/{name}"[cut:] not in expected:
                return False
    return True


def remove_part(root: str, artifact: ArtifactId) -> None:
    """Delete a `.part` and its claims; nothing there is fine."""
    for path in (claims_path(root, artifact), part_path(root, artifact)):
        try:
            remove(path)
        except OSError as error:
            raise disk_error(error, "remove", path) from None


def fill_tree(root: str, manifest: Manifest) -> None:
    """Make a tree's folders and files of full length; those that are there stay. OSErrors pass."""
    folder_path, folder_fd = "", os.open(root, OPEN_FOLDER)
    try:
        for entry in manifest.entries:
            parent, _, name = entry.path.rpartition("/")
            if parent != folder_path:
                os.close(folder_fd)
                folder_fd = -1
                folder_fd = _open_below(root, parent)
                folder_path = parent
            if entry.kind == "file":
                _fill_file(folder_fd, name, entry)
            elif entry.kind == "dir":
                _fill_folder(folder_fd, name, entry)
    finally:
        if folder_fd >= 0:
            os.close(folder_fd)


def dress(placement: Placement, manifest: Manifest) -> None:
    """Give links, and the modes that would have been in the way of writing. OSErrors pass."""
    if not placement.is_tree:
        os.chmod(placement.root, manifest.mode)
        return
    for entry in reversed(manifest.entries):  # what is inside comes before its folder
        parent, _, name = entry.path.rpartition("/")
        if entry.kind == "link":
            fd = placement.open_folder(parent)
            try:
                _dress_link(fd, name, entry.target)
            finally:
                os.close(fd)
            continue
        owner_bits = _OWNER_FILE if entry.kind == "file" else _OWNER_FOLDER
        if entry.mode & owner_bits != owner_bits:
            fd = placement.open_folder(parent)
            try:
                os.chmod(name, entry.mode, dir_fd=fd)
            finally:
                os.close(fd)
    os.chmod(placement.root, manifest.mode)


def undress(placement: Placement, manifest: Manifest) -> None:
    """Make a finished copy writable again for its owner, and whole in names. OSErrors pass."""
    if not placement.is_tree:
        with_owner = manifest.mode | _OWNER_FILE
        fd = os.open(placement.root, os.O_WRONLY | os.O_CREAT | OPEN_SAFELY, with_owner)
        try:
            os.fchmod(fd, with_owner)
            os.ftruncate(fd, manifest.size_bytes)
        finally:
            os.close(fd)
        return
    if kind_at(placement.root) == "":
        os.mkdir(placement.root, _OWNER_FOLDER)
    os.chmod(placement.root, manifest.mode | _OWNER_FOLDER)
    for entry in manifest.entries:
        path = f"{placement.root}/{entry.path}"
        if kind_at(path) not in ("", "other" if entry.kind == "link" else entry.kind):
            remove(path)
    fill_tree(placement.root, manifest)


def flush(placement: Placement, manifest: Manifest) -> None:
    """Bring everything to the disk before it may become visible. OSErrors pass: do not retry."""
    files = [entry for entry in manifest.entries if entry.kind == "file"]
    if len(files) > _FSYNC_FILES_MAX:
        fd = placement.open_folder("")
        try:
            sync_file_system(fd)
        finally:
            os.close(fd)
        return
    for index, entry in enumerate(manifest.entries):
        if entry.kind == "file":
            file = placement.acquire(manifest, index)
            try:
                os.fsync(file.fd)
            finally:
                placement.release(file)
        elif entry.kind == "dir":
            sync_folder(f"{placement.root}/{entry.path}")
    if placement.is_tree:
        sync_folder(placement.root)


def swap_in(part: str, root: str) -> None:
    """Give the finished `.part` its name, atomically; what was there is then at `part`, if any.

    OSErrors pass.
    """
    there = kind_at(root)
    if there == "" or (kind_at(part) == "file" and there != "dir"):
        os.rename(part, root)
    else:
        exchange(part, root)
    sync_folder(os.path.dirname(root))


def discrepancies(placement: Placement, manifest: Manifest) -> list[str]:
    """What of kinds, sizes, modes and links is not as the manifest says; a line each."""
    differ = []
    if placement.is_tree:
        try:
            mode = os.lstat(placement.root).st_mode
        except OSError:
            return [f"{manifest.name}: missing"]
        if not stat.S_ISDIR(mode):
            return [f"{manifest.name}: not a folder"]
        if mode & 0o7777 != manifest.mode:
            differ.append(f"{manifest.name}: mode {mode & 0o7777:o}, should be {manifest.mode:o}")
    for entry in manifest.entries:
        difference = _difference(placement, entry)
        if difference:
            differ.append(f"{entry.path}: {difference}")
    return differ


def _difference(placement: Placement, entry: Entry) -> str:
    try:
        status = placement.stat(entry.path)
    except OSError:
        return "missing"
    expected = {"file": stat.S_ISREG, "dir": stat.S_ISDIR, "link": stat.S_ISLNK}[entry.kind]
    if not expected(status.st_mode):
        return f"not a {entry.kind}"
    if entry.kind == "link":
        parent, _, name = entry.path.rpartition("/")
        fd = placement.open_folder(parent)
        try:
            target = os.readlink(name, dir_fd=fd)
        finally:
            os.close(fd)
        return "" if target == entry.target else f"points to {target!r}, not {entry.target!r}"
    mode = stat.S_IMODE(status.st_mode)
    if mode != entry.mode:
        return f"mode {mode:o}, should be {entry.mode:o}"
    if entry.kind == "file" and status.st_size != entry.size_bytes:
        return f"{status.st_size} bytes, should be {entry.size_bytes}"
    return ""


def _hidden(root: str, artifact: ArtifactId, suffix: str) -> str:
    folder, name = os.path.split(root)
    short = os.fsdecode(os.fsencode(name)[:_NAME_BYTES_MAX])
    hex_start = artifact.removeprefix("blake3:")[:_ID_CHARS]
    return os.path.join(folder, f".strew-{short}-{hex_start}.{suffix}")


def _require_room(path: str, need_bytes: int) -> None:
    free_bytes = _free_bytes(path)
    if need_bytes > free_bytes:
        raise no_room_error(path, need_bytes, free_bytes)


def _free_bytes(path: str) -> int:
    return free_bytes_at(os.path.dirname(path))


def _make_file(path: str, manifest: Manifest) -> tuple[int, bool]:
    """Create or open the `.part` of a single file; (inode, whether it was there)."""
    resumed = kind_at(path) == "file"
    if not resumed and kind_at(path):
        raise _stranger(path, "not a regular file")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | OPEN_SAFELY, _OWNER_FILE)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise _stranger(path, "not a regular file")
        if status.st_nlink != 1 or status.st_uid != os.geteuid():
            raise _stranger(path, "linked elsewhere or of another user")
        os.fchmod(fd, _OWNER_FILE)
        if manifest.size_bytes:
            preallocate(fd, manifest.size_bytes)
        os.ftruncate(fd, manifest.size_bytes)
    finally:
        os.close(fd)
    return status.st_ino, resumed


def _make_tree(path: str) -> tuple[int, bool]:
    """Create or open the `.part` folder of a tree; (inode, whether it was there)."""
    there = kind_at(path)
    if there not in ("", "dir"):
        raise _stranger(path, "not a folder")
    if not there:
        os.mkdir(path, _OWNER_FOLDER)
    status = os.lstat(path)
    if status.st_uid != os.geteuid():
        raise _stranger(path, "of another user")
    os.chmod(path, _OWNER_FOLDER)
    return status.st_ino, bool(there)


def _stranger(path: str, what: str) -> DiskError:
    return DiskError(f"cannot use {path!r}: it is {what}", hint="remove it, then try again")


def _open_below(root: str, path: str) -> int:
    fd = os.open(root, OPEN_FOLDER)
    for component in path.split("/") if path else ():
        try:
            below = os.open(component, OPEN_FOLDER, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def _fill_file(folder_fd: int, name: str, entry: Entry) -> None:
    flags = os.O_RDWR | os.O_CREAT | OPEN_SAFELY
    try:
        fd = os.open(name, flags, _OWNER_FILE, dir_fd=folder_fd)
    except PermissionError:  # dressed already
        os.chmod(name, entry.mode | _OWNER_FILE, dir_fd=folder_fd)
        fd = os.open(name, flags, _OWNER_FILE, dir_fd=folder_fd)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"cannot write {name!r}: it is not a regular file")
        with_owner = entry.mode | _OWNER_FILE
        if stat.S_IMODE(status.st_mode) != with_owner:
            os.fchmod(fd, with_owner)
        if status.st_size != entry.size_bytes:
            if entry.size_bytes >= _PREALLOCATE_BYTES_MIN:
                preallocate(fd, entry.size_bytes)
            os.ftruncate(fd, entry.size_bytes)
    finally:
        os.close(fd)


def _fill_folder(folder_fd: int, name: str, entry: Entry) -> None:
    try:
        os.mkdir(name, _OWNER_FOLDER, dir_fd=folder_fd)
    except FileExistsError:
        pass  # if it is no folder, opening it to go below fails
    fd = os.open(name, OPEN_FOLDER, dir_fd=folder_fd)
    try:
        os.fchmod(fd, entry.mode | _OWNER_FOLDER)
    finally:
        os.close(fd)


def _dress_link(folder_fd: int, name: str, target: str) -> None:
    try:
        os.symlink(target, name, dir_fd=folder_fd)
    except FileExistsError:
        if _link_target(folder_fd, name) != target:
            os.unlink(name, dir_fd=folder_fd)
            os.symlink(target, name, dir_fd=folder_fd)


def _link_target(folder_fd: int, name: str) -> str | None:
    try:
        return os.readlink(name, dir_fd=folder_fd)
    except OSError:
        return None
