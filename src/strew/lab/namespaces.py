"""Network namespaces of this machine: made, entered, and who lives in them.

They are named ones, as ip-netns(8) makes them. Nothing of a lab is ever in the namespace that the
machine itself lives in: no interface, no address, no route.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from strew.errors import ConfigurationError, DeniedError

FOLDER = Path("/run/netns")
"""Where ip-netns(8) keeps a file for each namespace."""

COMMAND_WITHIN_S = 30.0

_CLONE_NEWNET = 0x40000000
"""setns(2): the file must be a network namespace."""

_LIBC = ctypes.CDLL(None, use_errno=True)


def tell(tool: str, lines: Iterable[str], namespace: str = "") -> None:
    """Have ip, bridge or tc do these commands, in one process. DeniedError, ConfigurationError."""
    within = ["-n", namespace] if namespace else []
    run([tool, *within, "-batch", "-"], "".join(f"{line}\n" for line in lines))


def run(argv: Sequence[str], text: str = "") -> str:
    """The output of a system tool that was given `text`. DeniedError, ConfigurationError."""
    try:
        # in a session of its own: Ctrl-C is for this process, which then cleans up with these tools
        done = subprocess.run(
            argv,
            input=text,
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN_S,
            start_new_session=True,
            check=False,
        )
    except FileNotFoundError:
        raise ConfigurationError(
            f"'{argv[0]}' is not installed", hint="'make lab' installs what the lab needs"
        ) from None
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"'{' '.join(argv)}' did not end in time") from None
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        if "not permitted" in done.stderr:
            raise DeniedError(
                f"this machine lets nobody make networks: {words[0]}",
                hint="a container needs the capabilities SYS_ADMIN and NET_ADMIN",
            )
        raise ConfigurationError(f"'{' '.join(argv)}': {words[0]}")
    return done.stdout


def inode(name: str) -> int | None:
    """What tells a namespace from all others; None if there is none of that name."""
    try:
        return (FOLDER / name).stat().st_ino
    except OSError:
        return None


def inhabitants(names: Iterable[str]) -> dict[str, list[int]]:
    """The processes in each of these namespaces."""
    found: dict[str, list[int]] = {name: [] for name in names}
    by_inode = {inode(name): pids for name, pids in found.items()}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                its = os.stat(f"{entry.path}/ns/net").st_ino
            except OSError:
                continue  # it has ended, or is a zombie
            if its in by_inode:
                by_inode[its].append(int(entry.name))
    return found


@contextmanager
def entered(name: str) -> Iterator[None]:
    """Inside, this thread is in that namespace. Nothing may be awaited there.

    A socket stays in the namespace it was made in, whichever its thread is in later (setns(2),
    network_namespaces(7)).
    """
    with open("/proc/thread-self/ns/net", "rb") as own, (FOLDER / name).open("rb") as other:
        _set_namespace(other.fileno())
        try:
            yield
        finally:
            _set_namespace(own.fileno())


def tcp_socket(name: str) -> socket.socket:
    """A socket that dials from inside of a namespace."""
    with entered(name):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setblocking(False)
    return made


def _set_namespace(fd: int) -> None:
    if _LIBC.setns(fd, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
