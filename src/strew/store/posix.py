"""The few system calls the store needs beyond `os`, and OSError told as DiskError."""

import ctypes
import errno
import os
from pathlib import Path

from strew.errors import DiskError

libc = ctypes.CDLL(None, use_errno=True)

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_HINTS = {
    errno.EROFS: "the file system is read-only: remount it or choose another folder",
    errno.EACCES: "check owner and permissions of the folder",
    errno.EPERM: "check owner and permissions of the folder",
    errno.EIO: "the device fails: see the kernel's log",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
    errno.ENFILE: "too many open files in the system: raise fs.file-max",
    errno.EBUSY: "it is a mount point or in use: choose another target",
}


def disk_error(error: OSError, doing: str, path: str | os.PathLike[str]) -> DiskError:
    """Tell a failed system call as one line: what was being done, to what, why, the remedy."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    message = f"cannot {doing} {os.fspath(path)!r}: {reason}"
    if error.errno in _NO_ROOM:
        return DiskError(message, hint="free some space or choose another folder")
    return DiskError(message, hint=_HINTS.get(error.errno or 0, ""))


def no_room_error(path: str, need_bytes: int, free_bytes: int) -> DiskError:
    """The refusal to start what cannot fit."""
    return DiskError(
        f"no space for {path!r}: need {need_bytes} bytes, {free_bytes} are free",
        hint="free some space or choose another folder",
    )


def is_no_room(error: OSError) -> bool:
    """Whether a system call failed for want of space or quota."""
    return error.errno in _NO_ROOM


def free_bytes_at(path: str) -> int:
    """What an ordinary user may still write on the file system of `path`."""
    numbers = os.statvfs(path)
    return numbers.f_bavail * numbers.f_frsize


def write_whole(path: Path, content: bytes, *, mode: int = 0o666, durable: bool = True) -> None:
    """Replace a file's content: it is the new or the old one at any instant, also after a power
    loss if it is to be `durable` (8 ms more on a usual disk); else it may then be cut off.

    For one writer at a time; what an earlier one left half done goes. OSErrors pass.
    """
    partial = path.with_name(f"{path.name}.new")
    partial.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(partial, flags, mode), "wb") as file:
        file.write(content)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    partial.replace(path)
    if not durable:
        return
    folder_fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder_fd)
    finally:
        os.close(folder_fd)


def call(number_returned: int) -> None:
    """Raise the OSError that a call of `libc` ended with, if it did."""
    if number_returned != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def preallocate(fd: int, size_bytes: int) -> None:
    """Reserve blocks, so that a full disk shows now; without effect where it is unsupported.

    fallocate(2) itself rather than posix_fallocate(3), whose emulation would write every block.
    """
    try:
        call(libc.fallocate(fd, 0, ctypes.c_int64(0), ctypes.c_int64(size_bytes)))
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def sync_file_system(fd: int) -> None:
    """syncfs(2): one barrier for all files of a tree instead of one journal commit each."""
    call(libc.syncfs(fd))


def start_writing(fd: int) -> None:
    """sync_file_range(2) with SYNC_FILE_RANGE_WRITE: start writing out what is dirty, all of it."""
    zero = ctypes.c_int64(0)
    call(libc.sync_file_range(fd, zero, zero, ctypes.c_uint(2)))
