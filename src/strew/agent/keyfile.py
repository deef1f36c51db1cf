"""Files of keys: private ones that only their owner may read, made whole or not at all."""

import os
import secrets
import stat
from pathlib import Path

from strew.errors import ConfigurationError, DiskError, UsageError
from strew.trust.keys import KEY_BYTES, PREFIX, PublicKey, SigningKey

PUBLISHER_FILE = "publisher.key"
"""In the data folder of `strew serve`: what it signs names with."""

KEY_FILE_BYTES_MAX = 4096
"""A key in PEM has 119 bytes; more is the wrong file."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_signing_key(path: Path) -> SigningKey:
    """The private key in a file. ConfigurationError if it is not there, is none, or can be read by
    others than its owner."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            pem = file.read(KEY_FILE_BYTES_MAX)
    except OSError as error:
        raise ConfigurationError(
            f"key file {str(path)!r}: {error.strerror}", hint="'strew key new FILE' makes one"
        ) from None
    if mode & _OTHERS:
        raise ConfigurationError(
            f"key file {str(path)!r} can be read by others (mode {stat.S_IMODE(mode):04o})",
            hint=f"chmod 600 {path}",
        )
    try:
        return SigningKey.from_pem(pem)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"key file {str(path)!r}: {error.message}", hint=error.hint
        ) from None


def new_signing_key(path: Path) -> SigningKey:
    """Make a key and keep it in a new file with mode 0600. UsageError if the file exists;
    DiskError if it cannot be written."""
    key = SigningKey(secrets.token_bytes(KEY_BYTES))
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(key.pem)
                file.flush()
                os.fsync(file.fileno())
            _place(partial, path)
        finally:
            partial.unlink()
    except OSError as error:
        raise DiskError(
            f"cannot keep a key in {str(path)!r}: {error.strerror}", hint="name another place"
        ) from None
    return key


def _place(partial: Path, path: Path) -> None:
    """Give the file its name; unlike a rename, a link replaces nothing."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise UsageError(
            f"{str(path)!r} exists", hint="a key is never replaced: name another file"
        ) from None


def publisher_key(folder: Path) -> SigningKey:
    """The key that the process with this data folder signs with; made at its first start."""
    path = folder / PUBLISHER_FILE
    return read_signing_key(path) if os.path.lexists(path) else new_signing_key(path)


def read_public_key(text: str) -> PublicKey:
    """A public key as text, or that of a file with a public or private key. UsageError."""
    if text.startswith(PREFIX):
        return PublicKey.parse(text)
    path = Path(text)
    try:
        with path.open("rb") as file:
            pem = file.read(KEY_FILE_BYTES_MAX)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such file"
        raise UsageError(
            f"{text[:80]!r} is neither a public key nor a key file: {reason}",
            hint="a public key is written ed25519:...; 'strew key new FILE' makes a file",
        ) from None
    if b"PRIVATE KEY" in pem:
        return read_signing_key(path).public
    try:
        return PublicKey.from_pem(pem)
    except UsageError as error:
        raise UsageError(f"{text[:80]!r}: {error.message}", hint=error.hint) from None
