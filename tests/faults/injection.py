"""A process whose system calls fail, or which dies at one of them: strace's fault injection.

strace counts calls by thread and by kind of call. What is narrowed to a few paths is counted among
calls on these paths alone.
"""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

CHANGES = (
    "write,pwrite64,fsync,fdatasync,sync_file_range,syncfs,fallocate,ftruncate,mkdir,mkdirat,"
    "rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat,"
    "chmod,fchmod,fchmodat"
)
"""Every call by which a node changes what is on a disk."""

_CALL = re.compile(r"^(\d+) +(\w+)\((.*)")
_NAME = re.compile(r"\"([^\"]+)\"")
_DESCRIPTOR = re.compile(r"<([^<>]*)>")
_IN_PART = re.compile(r"[<\"][^<>\"]*(\.part)/[^<>\"]*[>\"]")
_NO_FILE = ("socket:", "pipe:", "anon_inode:", "/dev/", "TCP", "UDP", "UNIX")

Call = tuple[str, str]
"""A system call, and the file it was for; all files inside of a `.part` are one."""


def strace(
    log: Path, *expressions: str, paths: Sequence[Path] = (), quick: bool = False
) -> list[str]:
    """What to put before a command; its process stays the one that was started (-D).

    `expressions` are those of strace's -e. `quick`: only calls that take part in one are looked at,
    so that the command is about as quick as without; strace 6.1 then sends no signals.
    """
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed (make test-tools)")
    words = ["strace", "-D", "-f", "-y", "-qq", "-s0", "-o", str(log), "-e", "signal=none"]
    if quick:
        words.append("--seccomp-bpf")
    for expression in expressions:
        words += ["-e", expression]
    for path in paths:
        words += ["-P", str(path)]
    return words


def killing(calls: str, number: int) -> list[str]:
    """Die on the way into the n-th of these calls, before it does anything."""
    return [f"trace={CHANGES}", f"inject={calls}:signal=KILL:when={number}"]


def calls_in(log: str) -> list[tuple[str, Call]]:
    """(thread, call) of every change to a file in what strace wrote down, in order."""
    found = []
    for line in log.splitlines():
        match = _CALL.match(line)
        if match is None:
            continue
        thread, name, rest = match.groups()
        at = _IN_PART.search(rest) or _NAME.search(rest) or _DESCRIPTOR.search(rest)
        path = at.group(1) if at else ""
        if path and not path.startswith(_NO_FILE):
            found.append((thread, (name, generic(path))))
    return found


def generic(path: str) -> str:
    """The name of a file, without what differs between two runs: descriptors, artifact ids."""
    folder, _, name = path.rpartition("/")
    return folder if folder == "/proc/self/fd" else re.sub(r"[0-9a-f]{12,64}", "ID", name)
