"""A recorded transfer, from a file or from the process that recorded it."""

import asyncio
from pathlib import Path

from strew.cli.connection import connected, resolve
from strew.cli.flags import ClientFlags, configuration
from strew.content.reference import parse_reference
from strew.errors import UsageError
from strew.telemetry.recording import RECORDING_BYTES_MAX, Recording, decode_recording


def recorded(text: str, client: ClientFlags) -> Recording:
    """That of a file, if there is one of this name, else of what the reference names. UsageError
    if it is neither, and what asking for it raises."""
    path = Path(text)
    if path.is_file():
        return _read(path)
    try:
        wanted = parse_reference(text)
    except UsageError as error:
        raise UsageError(
            f"--like {text[:80]!r}: no such file, and no reference",
            hint="name a file that 'strew show REF --recording FILE' wrote, or NAME:TAG",
        ) from error

    async def ask() -> Recording:
        settings = configuration("client", client).settings
        async with connected(settings, wanted) as tracker:
            found = await resolve(tracker, wanted)
            return await tracker.recording(found.artifact)

    return asyncio.run(ask())


def _read(path: Path) -> Recording:
    try:
        with path.open("rb") as file:
            return decode_recording(file.read(RECORDING_BYTES_MAX + 1))
    except OSError as error:
        raise UsageError(f"--like {str(path)!r}: {error.strerror}", hint="name a file") from None
