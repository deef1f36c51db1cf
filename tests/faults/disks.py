"""File systems of a test's own: small ones in memory, and one in a file whose power can be cut."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machines import Machine

FRAMES_MAX = 200
"""Looks at an image until two in a row are the same; between a node's writes there is time."""


class SmallDisk:
    """A file system in memory that only one process sees, and that ends with it."""

    def __init__(self, at: Path, size_bytes: int) -> None:
        self._at = at
        at.mkdir()
        mount = f"mount -t tmpfs -o size={size_bytes} none '{at}'"
        self.wrapped = [*_unshare(), "sh", "-c", f'{mount} && exec "$@"', "sh"]

    def inside(self, machine: Machine) -> Path:
        """The disk, as others can reach it."""
        return Path(f"/proc/{machine.running.process.pid}/root{self._at}")

    def remount(self, machine: Machine, option: str) -> None:
        """Make it read-only (ro) or writable (rw) under a running process."""
        enter = ["nsenter", "--target", str(machine.running.process.pid), "--mount", "--user"]
        again = ["mount", "-o", f"remount,{option}", str(self._at)]
        subprocess.run([*enter[: 4 if os.geteuid() == 0 else 5], *again], check=True)


def _unshare() -> list[str]:
    """Run a program with mounts of its own; skips where that is not allowed."""
    for command in (["unshare", "--mount"], ["unshare", "--mount", "--user", "--map-root-user"]):
        try:
            subprocess.run([*command, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return command
    pytest.skip("no program may have mounts of its own here")


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            return


def make_image(path: Path, size_bytes: int) -> None:
    """An ext4 file system in a file."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4", path=SYSTEM_PATH) is None:
        pytest.skip("mounting a file system takes root and mkfs.ext4 (make test-tools)")
    with path.open("wb") as file:
        file.truncate(size_bytes)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(path)], check=True, env={"PATH": SYSTEM_PATH})


SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


@contextlib.contextmanager
def mounted(image: Path, at: Path) -> Iterator[None]:
    """The file system of an image, with a journal that is committed each second."""
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop,commit=1", str(image), str(at)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(at)], check=False) and subprocess.run(
            ["umount", "--lazy", str(at)], check=False, capture_output=True
        )


def cut_power(image: Path, copy: Path) -> None:
    """What would be on the disk if power failed now: a copy of the image as at one instant.

    It is read until two readings in a row are the same: then nothing was written to it at the
    instant between them, and both show it as it was then.
    """
    seen = b""
    for _ in range(FRAMES_MAX):
        before, seen = seen, image.read_bytes()
        if before == seen:
            copy.write_bytes(seen)
            return
    raise AssertionError(f"{image} never stood still")
