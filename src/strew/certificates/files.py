"""Key and certificate files: small, whole or not there, and private keys for their owner alone."""

import os
import stat
from pathlib import Path

from strew.errors import ConfigurationError, DiskError

FILE_BYTES_MAX = 1 << 20
"""A company's list of CAs has some 200 KiB; more is the wrong file."""

OTHERS = 0o077
"""Permissions nobody but the owner may have on a private key."""


def public_bytes(path: Path, hint: str) -> bytes:
    """What is in a file. ConfigurationError says which, why, and `hint` what to do."""
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not the name of a file"
        raise ConfigurationError(f"{str(path)!r}: {reason}", hint=hint) from None
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigurationError(f"{str(path)!r} is larger than {FILE_BYTES_MAX} bytes", hint=hint)
    return raw


def private_bytes(path: Path, hint: str) -> bytes:
    """As `public_bytes`, of a private key: refused if others than its owner may read it."""
    raw = public_bytes(path, hint)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & OTHERS:
        raise ConfigurationError(
            f"private key {str(path)!r} may be read by others (mode {mode:04o})",
            hint=f"chmod 600 {path}",
        )
    return raw


def write_private(path: Path, raw: bytes) -> None:
    """A file only its owner may read."""
    _write(path, raw, 0o600)


def write_public(path: Path, raw: bytes) -> None:
    """A file everybody may read."""
    _write(path, raw, 0o644)


def _write(path: Path, raw: bytes, mode: int) -> None:
    """Whole or not there, also after a kill; what was there is replaced in one step. DiskError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, mode)
            file.write(raw)
            file.flush()
            os.fsync(fd)
        partial.replace(path)
    except OSError as error:
        raise DiskError(
            f"cannot write {str(path)!r}: {error.strerror}",
            hint="choose a folder that can be written",
        ) from None
