"""How a machine comes by its fleet key, and a command by its admin token."""

import os
from functools import reduce
from pathlib import Path

from strew.access.joining import Welcome
from strew.agent.anchors import Policy, TrustFile, parse_anchor
from strew.agent.config import Configuration, Source, default_data_folder
from strew.agent.settings import Settings
from strew.cli.connection import connected_by_token
from strew.cli.fleetkey import KEY_FILE, fleet_key, is_loopback, keep_key, read_key
from strew.errors import (
    ConfigurationError,
    DeniedError,
    NotFoundError,
    ProtocolError,
    StrewError,
    UnavailableError,
    UsageError,
)
from strew.fleet import FleetKey
from strew.tracker.vault import ADMIN_FILE, read_token


async def joining_key(found: Configuration) -> FleetKey:
    """The key of a node that joins others: the configured one, else what its data folder keeps,
    else what the join token is good for, which is then kept.

    A token is used once: whoever has been given the key does not ask for it again. DeniedError if
    the token is not taken, UnavailableError if nobody answers, DiskError if the key cannot be kept.
    """
    settings = found.settings
    configured = found.origins["fleet_key"].source > Source.DEFAULT
    if settings.fleet_key is not None and configured:
        return FleetKey.parse(settings.fleet_key)
    path = settings.data_folder / KEY_FILE
    kept = read_key(path)
    if kept is not None:
        return kept
    if settings.join_token is None:
        return fleet_key(settings, settings.join[0])
    welcome = await _welcomed(settings, settings.join_token)
    _keep_anchors(settings.data_folder, welcome.trust)
    return keep_key(path, FleetKey.parse(welcome.fleet_key))


def _keep_anchors(folder: Path, texts: tuple[str, ...]) -> None:
    """Trust whom the process that let this one in trusts, beside whom its own settings name.
    ProtocolError if what it sent are no keys, DiskError if they cannot be kept."""
    try:
        anchors = [parse_anchor(text) for text in texts]
    except UsageError as error:
        raise ProtocolError(f"welcome with a key that is none: {error.message}") from None
    if anchors:
        TrustFile(folder).change(lambda policy: reduce(Policy.trusting, anchors, policy))


async def _welcomed(settings: Settings, token: str) -> Welcome:
    """Ask one after another: only the process that made a token knows it."""
    errors: list[StrewError] = []
    for address in settings.join:
        async with connected_by_token(settings, address) as client:
            try:
                return await client.join(token)
            except (DeniedError, NotFoundError, UnavailableError) as error:
                errors.append(error)
    raise next((error for error in errors if isinstance(error, DeniedError)), errors[0])


def admin_token(found: Configuration) -> str:
    """The token to make tokens with: the configured one, else that of the data folder named, else
    that of the `strew serve` or `strew node` of this machine. ConfigurationError."""
    settings = found.settings
    if settings.token is not None:
        return settings.token
    folders: list[Path | None] = []
    if found.origins["data"].source > Source.DEFAULT:
        folders.append(settings.data)
    elif is_loopback(settings.at):
        folders += [default_data_folder(os.environ, role) for role in ("serve", "node")]
    for folder in folders:
        token = read_token(folder / ADMIN_FILE) if folder is not None else None
        if token is not None:
            return token
    raise ConfigurationError(
        f"no admin token for {settings.at} is known here",
        hint=f"give --data DIR of that process, or --token; it made {ADMIN_FILE} in its folder",
    )
