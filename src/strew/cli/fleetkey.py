"""Where a command has its fleet key from, and how `strew serve` makes a key."""

import os
import secrets
from pathlib import Path

from strew.agent.config import default_data_folder
from strew.agent.settings import Settings
from strew.content.reference import Address
from strew.errors import ConfigurationError, DiskError
from strew.fleet import SECRET_BYTES, FleetKey
from strew.store.posix import write_whole

KEY_FILE = "fleet.key"
"""In the data folder of `strew serve`."""


def fleet_key(settings: Settings, towards: Address) -> FleetKey:
    """The key to speak with to `towards`; ConfigurationError where there is none.

    On the machine of a `strew serve` with its usual data folder its key is found by itself, for
    the user who may read it.
    """
    if settings.fleet_key is None and is_loopback(towards):
        folder = default_data_folder(os.environ, "serve")
        key = read_key(folder / KEY_FILE) if folder else None
        if key is not None:
            return key
    return FleetKey.parse(settings.fleet_key_text)


def serving_key(settings: Settings) -> FleetKey:
    """The configured key, else the data folder's own, which is made at the first start.

    DiskError if it cannot be kept.
    """
    if settings.fleet_key is not None:
        return FleetKey.parse(settings.fleet_key)
    path = settings.data_folder / KEY_FILE
    key = read_key(path)
    return key if key is not None else keep_key(path, FleetKey(secrets.token_bytes(SECRET_BYTES)))


def is_loopback(address: Address) -> bool:
    """Whether an address is this machine's own, which no other can reach."""
    return address.host.startswith("127.") or address.host in ("::1", "localhost")


def read_key(path: Path) -> FleetKey | None:
    """The key a file holds; None where there is no file, or not for this user."""
    try:
        text = path.read_text("ascii")
    except (FileNotFoundError, PermissionError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(
            f"key file {str(path)!r} cannot be read", hint="restore it, or name another"
        ) from None
    try:
        return FleetKey.parse(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.message}", hint="restore it") from None


def keep_key(path: Path, key: FleetKey) -> FleetKey:
    """Put a key into a file only its owner may read; whole or not there, also after a kill.

    Returns it. DiskError.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, f"{key.text}\n".encode(), mode=0o600)
    except OSError as error:
        raise DiskError(
            f"cannot keep the fleet key in {str(path)!r}: {error.strerror}",
            hint="choose a folder that can be written with --data",
        ) from None
    return key
