"""`strew get`: fetch an artifact to this machine, with an agent of its own."""

import asyncio
import os
import shutil
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import msgspec

from strew.agent.config import Configuration
from strew.agent.quantity import format_duration, format_size
from strew.cli.call import command_app
from strew.cli.connection import (
    Found,
    believing,
    connected,
    connected_to,
    deadline,
    resolve,
    tracker_of,
)
from strew.cli.ending import EXIT_BY_SIGNAL, interruptible, signalled
from strew.cli.fetching import Fetched, Job, fetched
from strew.cli.flags import (
    ClientFlags,
    ConfigFlags,
    DataFlags,
    RateFlags,
    ReferenceArgument,
    Text,
    Texts,
    configuration,
    flag,
)
from strew.cli.fleetkey import fleet_key
from strew.cli.logs import configure_logs
from strew.cli.output import Output
from strew.content.manifest import Manifest
from strew.content.reference import Address, Reference, parse_address, parse_reference
from strew.errors import DeniedError, NotFoundError, StrewError, UnavailableError, UsageError

app = command_app(
    "get",
    "Fetch an artifact from every node that has some of it.\n\n"
    "Run the same command again to resume what was interrupted, or to repair what was damaged: "
    "only what is missing is fetched, and nothing appears before all of it is verified.",
)

STANDARD_OUTPUT = "-"
SOURCES_MAX = 64
"""Nodes named with --from; more are what a tracker is for."""


@app.default
async def get(
    reference: ReferenceArgument,
    /,
    *,
    output: Annotated[
        Text,
        flag(
            "--output",
            "Where to put it; inside, if that is a folder. '-' is standard output. "
            "Default: its published name, here.",
            short="-o",
        ),
    ] = None,
    stay: Annotated[bool, flag("--stay", "Go on serving it to others until stopped.")] = False,
    replace: Annotated[
        bool, flag("--replace", "Replace a folder even if it holds something else.")
    ] = False,
    sources: Annotated[
        Texts, flag("--from", "Fetch from this HOST:PORT only; may be given several times.")
    ] = None,
    within: Annotated[Text, flag("--deadline", "Give up after this long, such as 10m.")] = None,
    store: DataFlags = DataFlags(),
    client: ClientFlags = ClientFlags(),
    rates: RateFlags = RateFlags(),
    file: ConfigFlags = ConfigFlags(),
    out: Output = Output(),
) -> int:
    """Fetch what the reference names."""
    found = configuration("client", file, client, rates, store)
    configure_logs(found, quiet=True)
    wanted = parse_reference(reference)
    named = _addresses(sources or [])
    if output == STANDARD_OUTPUT and (out.json or stay):
        raise UsageError(
            f"--output - does not go with {'--json' if out.json else '--stay'}",
            hint="standard output carries the file's bytes then",
        )
    async with interruptible(), AsyncExitStack() as running:
        async with deadline(within):
            what, manifest = await _locate(found, wanted, named)
            job = Job(
                settings=found.settings,
                key=fleet_key(found.settings, tracker_of(found.settings, wanted)),
                manifest=manifest,
                shown=what.shown,
                target=_target(output, manifest, replace=replace),
                tracker=tracker_of(found.settings, wanted),
                sources=named,
            )
            outcome = await running.enter_async_context(fetched(job, out))
        facts = {"reference": what.reference, **msgspec.structs.asdict(outcome)}
        out.note(_summary(job, outcome))
        if job.target is None:
            await _copy_out(outcome)
        else:
            out.line(outcome.path)
        if stay:
            with signalled() as told:
                out.event("fetched", **facts)
                out.note("serving it until stopped")
                number = await told
    out.result(**facts)
    return EXIT_BY_SIGNAL[number] if stay else 0


async def _locate(
    found: Configuration, wanted: Reference, sources: tuple[Address, ...]
) -> tuple[Found, Manifest]:
    """What the reference names, and its manifest, from the tracker or the named sources."""
    key = fleet_key(found.settings, tracker_of(found.settings, wanted))
    async with connected(found.settings, wanted) as client:
        if isinstance(wanted, str):
            what = await resolve(client, wanted)  # an id says all there is to believe
        else:
            with believing(found.settings, key) as trusting:
                what = await resolve(client, wanted, trusting)
        if not sources:
            return what, Manifest.parse(await client.manifest(what.artifact))
    failure: StrewError = NotFoundError(f"{what.shown}: no node was named to ask")
    for address in sources:
        try:
            async with connected_to(found.settings, address, key) as source:
                return what, Manifest.parse(await source.manifest(what.artifact))
        except (UnavailableError, DeniedError, NotFoundError) as error:
            failure = error
    raise failure


def _addresses(texts: list[str]) -> tuple[Address, ...]:
    parts = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    if len(parts) > SOURCES_MAX:
        raise UsageError(f"--from: {len(parts)} addresses, at most {SOURCES_MAX} are allowed")
    try:
        return tuple(parse_address(part) for part in parts)
    except UsageError as error:
        raise UsageError(f"--from: {error.message}", hint=error.hint) from None


def _target(output: str | None, manifest: Manifest, *, replace: bool) -> Path | None:
    """Where the file or folder shall be; None for standard output. UsageError, if it may not."""
    if output == STANDARD_OUTPUT:
        if manifest.is_tree:
            raise UsageError(
                f"{manifest.name!r} is a folder: it cannot go to standard output",
                hint="give --output a folder",
            )
        return None
    path = Path(output) if output else Path()
    try:
        inside = not output or output.endswith("/") or (path.is_dir() and not manifest.is_tree)
        target = path / manifest.name if inside else path
        _require_replaceable(target)
    except OSError as error:
        raise UsageError(
            f"--output {str(path)[:80]!r}: {error.strerror}", hint="choose another place"
        ) from None
    if not replace:
        _require_own(target, manifest)
    return target


def _require_replaceable(target: Path) -> None:
    """What is put in place takes the place of what was there: never that of a device or a pipe,
    which other programs count on, whoever is allowed to."""
    if not os.path.lexists(target) or target.is_file() or target.is_dir() or target.is_symlink():
        return
    raise UsageError(
        f"{str(target)!r} is neither a file nor a folder",
        hint="to write into it: strew get REF -o - > PATH",
    )


def _require_own(target: Path, manifest: Manifest) -> None:
    """Do not take away a folder that has nothing to do with the artifact.

    It is a version of it, or empty, if at least half of what lies in it has a name of the new one.
    """
    if not target.is_dir():
        if manifest.is_tree and os.path.lexists(target):
            raise UsageError(f"{str(target)!r} is not a folder", hint="--replace replaces it")
        return
    there = os.listdir(target)
    names = {entry.path.partition("/")[0] for entry in manifest.entries if manifest.is_tree}
    if 2 * sum(name in names for name in there) < len(there):
        raise UsageError(
            f"{str(target)!r} is a folder with other content",
            hint=f"'{target}/' puts it inside, --replace replaces the folder",
        )


async def _copy_out(outcome: Fetched) -> None:
    """To standard output."""
    sys.stdout.flush()

    def copy() -> None:
        with open(outcome.path, "rb") as source:
            shutil.copyfileobj(source, sys.stdout.buffer, 1 << 20)
        sys.stdout.buffer.flush()

    await asyncio.to_thread(copy)


def _summary(job: Job, outcome: Fetched) -> str:
    path = outcome.path if job.target is not None else "standard output"
    origin = f", {100 * outcome.from_origin_ratio:.0f} % from the origin"
    here = f", {format_size(outcome.reused_bytes)} were here" if outcome.reused_bytes else ""
    return (
        f"{job.shown} -> {path}: fetched {format_size(outcome.fetched_bytes)} "
        f"in {format_duration(outcome.seconds)}{origin if outcome.fetched_bytes else ''}{here}"
    )
