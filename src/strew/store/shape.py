"""Files, folders, modes and links of an artifact: made for its chunks, given at its end, checked.

Modes are those that were published, whatever the umask: setuid, setgid and sticky bits no manifest
can carry. Files belong to who runs strew, and to the group that the folder they are put into gives:
the setgid bit of a folder is the place's, not the publisher's, and is kept all the way down.
"""

import os
import stat

from strew.content.manifest import Entry, Manifest
from strew.errors import DiskError, UsageError
from strew.store.folders import (
    OPEN_FOLDER,
    OPEN_SAFELY,
    chmod_in,
    folder_of,
    kind_in,
    open_below,
    remove_in,
)
from strew.store.placement import Placement
from strew.store.posix import preallocate, sync_file_system

_PREALLOCATE_BYTES_MIN = 1024 * 1024
"""Smaller files are only given their length: reserving each of ten thousand costs more than the
check of free space saves."""

_FSYNC_FILES_MAX = 32
"""Trees of more files are flushed with one syncfs: each fsync is a journal commit, milliseconds."""

_OWNER_FILE = 0o600
_OWNER_FOLDER = 0o700


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
    try:
        root_fd = placement.open_folder("")
    except OSError:
        return False
    try:
        for folder, folder_names, file_names, _ in os.fwalk(".", dir_fd=root_fd):
            for name in folder_names + file_names:
                if f"{folder}/{name}".removeprefix("./") not in expected:
                    return False
    finally:
        os.close(root_fd)
    return True


def fill(root_fd: int, manifest: Manifest) -> None:
    """Make a tree's folders and files of full length; those that are there stay. OSErrors pass."""
    folder_path, folder_fd = "", open_below(root_fd, "")
    try:
        for entry in manifest.entries:
            parent, _, name = entry.path.rpartition("/")
            if parent != folder_path:
                os.close(folder_fd)
                folder_fd = -1
                folder_fd = open_below(root_fd, parent)
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
    for entry in reversed(manifest.entries):  # what is inside comes before its folder
        if not placement.is_tree:
            break
        parent, _, name = entry.path.rpartition("/")
        owner_bits = _OWNER_FILE if entry.kind == "file" else _OWNER_FOLDER
        if entry.kind != "link" and entry.mode & owner_bits == owner_bits:
            continue
        folder_fd = placement.open_folder(parent)
        try:
            if entry.kind == "link":
                _dress_link(folder_fd, name, entry.target)
            else:
                _set_mode(folder_fd, name, entry.mode)
        finally:
            os.close(folder_fd)
    with folder_of(placement.root) as (folder_fd, name):
        _set_mode(folder_fd, name, manifest.mode)


def undress(placement: Placement, manifest: Manifest) -> None:
    """Make a finished copy writable again for its owner, and whole in names. OSErrors pass."""
    with folder_of(placement.root) as (folder_fd, name):
        if not placement.is_tree:
            _reopen_file(folder_fd, name, manifest)
            return
        if kind_in(folder_fd, name) == "":
            os.mkdir(name, _OWNER_FOLDER, dir_fd=folder_fd)
        _set_mode(folder_fd, name, manifest.mode | _OWNER_FOLDER)
        root_fd = os.open(name, OPEN_FOLDER, dir_fd=folder_fd)
    try:
        for entry in manifest.entries:
            _clear_wrong_kind(root_fd, entry)
        fill(root_fd, manifest)
    finally:
        os.close(root_fd)


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
            _sync_folder(placement, entry.path)
    if placement.is_tree:
        _sync_folder(placement, "")


def discrepancies(placement: Placement, manifest: Manifest) -> list[str]:
    """What of kinds, sizes, modes and links is not as the manifest says; a line each."""
    differ = []
    if placement.is_tree:
        try:
            status = placement.stat_root()
        except OSError:
            return [f"{manifest.name}: missing"]
        if not stat.S_ISDIR(status.st_mode):
            return [f"{manifest.name}: not a folder"]
        mode = _mode_given(status)
        if mode != manifest.mode:
            differ.append(f"{manifest.name}: mode {mode:o}, should be {manifest.mode:o}")
    for entry in manifest.entries:
        difference = _difference(placement, entry)
        if difference:
            differ.append(f"{entry.path}: {difference}")
    return differ


def _difference(placement: Placement, entry: Entry) -> str:
    try:
        status = placement.stat(entry.path)
        target = _link_at(placement, entry.path) if stat.S_ISLNK(status.st_mode) else ""
    except OSError:
        return "missing"
    expected = {"file": stat.S_ISREG, "dir": stat.S_ISDIR, "link": stat.S_ISLNK}[entry.kind]
    if not expected(status.st_mode):
        return f"not a {entry.kind}"
    if entry.kind == "link":
        return "" if target == entry.target else f"points to {target!r}, not {entry.target!r}"
    mode = _mode_given(status)
    if mode != entry.mode:
        return f"mode {mode:o}, should be {entry.mode:o}"
    if entry.kind == "file" and status.st_size != entry.size_bytes:
        return f"{status.st_size} bytes, should be {entry.size_bytes}"
    return ""


def _link_at(placement: Placement, path: str) -> str:
    if not placement.is_tree:
        return ""
    parent, _, name = path.rpartition("/")
    folder_fd = placement.open_folder(parent)
    try:
        return os.readlink(name, dir_fd=folder_fd)
    finally:
        os.close(folder_fd)


def _mode_given(status: os.stat_result) -> int:
    """The mode as a manifest would say it."""
    mode = stat.S_IMODE(status.st_mode)
    return mode & ~stat.S_ISGID if stat.S_ISDIR(status.st_mode) else mode


def _set_mode(folder_fd: int, name: str, mode: int) -> None:
    status = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        mode |= status.st_mode & stat.S_ISGID
    if stat.S_IMODE(status.st_mode) != mode:
        chmod_in(folder_fd, name, mode)


def _sync_folder(placement: Placement, path: str) -> None:
    fd = placement.open_folder(path)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _fill_file(folder_fd: int, name: str, entry: Entry) -> None:
    flags = os.O_RDWR | os.O_CREAT | OPEN_SAFELY
    try:
        fd = os.open(name, flags, _OWNER_FILE, dir_fd=folder_fd)
    except PermissionError:  # dressed already
        chmod_in(folder_fd, name, entry.mode | _OWNER_FILE)
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
    _set_mode(folder_fd, name, entry.mode | _OWNER_FOLDER)


def _reopen_file(folder_fd: int, name: str, manifest: Manifest) -> None:
    """Make a finished file writable, and as long as it should be."""
    with_owner = manifest.mode | _OWNER_FILE
    flags = os.O_WRONLY | os.O_CREAT | OPEN_SAFELY
    fd = os.open(name, flags, with_owner, dir_fd=folder_fd)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise DiskError(f"cannot repair {name!r}: it is not a regular file")
        os.fchmod(fd, with_owner)
        os.ftruncate(fd, manifest.size_bytes)
    finally:
        os.close(fd)


def _clear_wrong_kind(root_fd: int, entry: Entry) -> None:
    """Remove what is in the way of an entry; its parents were looked at before."""
    parent, _, name = entry.path.rpartition("/")
    try:
        folder_fd = open_below(root_fd, parent)
    except FileNotFoundError:
        return  # nothing can be below
    try:
        if kind_in(folder_fd, name) not in ("", "other" if entry.kind == "link" else entry.kind):
            remove_in(folder_fd, name)
    finally:
        os.close(folder_fd)


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
