"""`strew verify`: compare installed bytes with the manifest, and fetch what is broken."""

import os
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from cyclopts import Parameter

from strew.agent.client import NodeClient
from strew.agent.config import Configuration
from strew.agent.quantity import format_size
from strew.cli.call import command_app
from strew.cli.connection import Found, believing, connected, deadline, looking, resolve
from strew.cli.ending import interruptible
from strew.cli.fetching import Job, fetched
from strew.cli.flags import (
    ClientFlags,
    ConfigFlags,
    DataFlags,
    RateFlags,
    Text,
    configuration,
    flag,
)
from strew.cli.fleetkey import fleet_key
from strew.cli.hashing import hashing
from strew.cli.logs import configure_logs
from strew.cli.output import Output
from strew.cli.signers import Signer, asked_signatures, facts_of, manifest_signers, shown
from strew.cli.stores import kept_signatures, placed, placed_at
from strew.content.manifest import Manifest
from strew.content.reference import Link, Reference, parse_reference
from strew.errors import ConfigurationError, IntegrityError, NotFoundError, UsageError
from strew.publication import Publication, Signature
from strew.store.survey import Damage, inspect

app = command_app(
    "verify",
    "Check installed files against their manifest: every byte, mode and link.\n\n"
    "PATH is a file or folder that 'strew node' or 'strew get' put in place. For a name or an "
    "artifact id, the store of this machine says where it lies. Works beside a running node.",
)

SHOWN_MAX = 20
"""Lines of damage for people; --json has all."""


class _Subject(NamedTuple):
    """What to check: which artifact, and where it lies. `signatures` over its manifest are those
    that a store of this machine, or the process asked, keeps."""

    manifest: Manifest
    path: Path
    reference: Reference | None
    signatures: tuple[Signature, ...]


@app.default
async def verify(
    what: Annotated[
        str, Parameter(help="PATH, or NAME:TAG or an artifact id (blake3:...) that is stored here.")
    ],
    /,
    *,
    repair: Annotated[bool, flag("--repair", "Fetch what is broken, and put it right.")] = False,
    expected: Annotated[
        Text, flag("--as", "What PATH should be: NAME:TAG or an artifact id.")
    ] = None,
    within: Annotated[Text, flag("--deadline", "Give up after this long, such as 10m.")] = None,
    store: DataFlags = DataFlags(),
    client: ClientFlags = ClientFlags(),
    rates: RateFlags = RateFlags(),
    file: ConfigFlags = ConfigFlags(),
    out: Output = Output(),
) -> int:
    """Check a path, or what this machine has of a reference."""
    found = configuration("client", file, client, rates, store)
    configure_logs(found, quiet=True)
    async with interruptible(), deadline(within):
        subject = await _subject(found, what, expected, out)
        progress = out.progress()
        try:
            damage = await hashing(
                lambda step: inspect(subject.manifest, subject.path, step),
                progress,
                str(subject.path),
                "checking",
            )
        finally:
            progress.close()
        signers = _signers(found, subject)
        facts = {**_facts(subject, damage), "manifest_signers": facts_of(signers)}
        _tell(subject, damage, out)
        out.note(f"its manifest is signed by {shown(signers)}")
        if damage and repair:
            facts |= await _repair(found, subject, out)
    out.result(**facts)
    if damage and not repair:
        out.error(
            IntegrityError.code,
            f"{str(subject.path)!r} is not as published",
            "'strew verify --repair' fetches what is broken",
        )
        return IntegrityError.exit_code
    return 0


async def _subject(found: Configuration, what: str, expected: str | None, out: Output) -> _Subject:
    """Find manifest and place; a path that exists is a path, whatever it is called."""
    path = Path(what)
    if _is_there(path):
        return await _subject_at(found, path, expected, out)
    if expected is not None:
        raise NotFoundError(f"there is nothing at {what!r}", hint="name what was installed")
    if "/" in what and ":" not in what:
        raise NotFoundError(f"there is no {what!r}")
    reference = parse_reference(what)
    artifact = reference if isinstance(reference, str) else None
    if artifact is None:
        async with connected(found.settings, reference) as tracker:
            artifact = (await _believed(found, tracker, reference)).artifact
    known = placed(found, artifact)
    if known is None:
        raise NotFoundError(
            f"{what} is not complete in a store of this machine",
            hint="name the path where it lies, or the store's folder with --data",
        )
    return _Subject(known.manifest, known.path, reference, kept_signatures(found, artifact))


async def _subject_at(
    found: Configuration, path: Path, expected: str | None, out: Output
) -> _Subject:
    """What a path should be: as --as says, as the store that put it there knows, or as named."""
    if expected is not None:
        reference = parse_reference(expected)
        async with connected(found.settings, reference) as tracker:
            artifact = (await _believed(found, tracker, reference)).artifact
            manifest = Manifest.parse(await tracker.manifest(artifact))
            signatures = await asked_signatures(tracker, artifact)
            return _Subject(manifest, path, reference, signatures)
    known = placed_at(found, path)
    if known is not None:
        signatures = kept_signatures(found, known.manifest.id)
        return _Subject(known.manifest, path, None, signatures)
    name = _name_of(path)
    settings = found.settings
    with believing(settings, fleet_key(settings, settings.at)) as trusting:
        async with connected(settings) as tracker:
            named = [p for p in await tracker.names() if p.name == name and trusting.admits(p)]
            if not named:
                raise NotFoundError(
                    f"no store here knows {str(path)!r}, and nobody who is trusted published "
                    f"anything named {name!r}",
                    hint="say with --as what it should be",
                )
            newest = max(named, key=_version)
            out.note(
                f"taking it for {newest.reference}" + (", the newest" if len(named) > 1 else "")
            )
            raw = await tracker.manifest(newest.artifact)
            signatures = await asked_signatures(tracker, newest.artifact)
    return _Subject(Manifest.parse(raw), path, None, signatures)


async def _believed(found: Configuration, tracker: NodeClient, reference: Reference) -> Found:
    """What a reference names, for who goes by that: only a name that is believed counts."""
    settings = found.settings
    with believing(settings, fleet_key(settings, tracker.address)) as trusting:
        return await resolve(tracker, reference, trusting)


def _signers(found: Configuration, subject: _Subject) -> tuple[Signer, ...]:
    """Who signed the manifest; without a fleet key nobody is a member of anything."""
    settings = found.settings
    reference = subject.reference
    tracker = reference.address if isinstance(reference, Link) else settings.at
    try:
        key = fleet_key(settings, tracker)
    except ConfigurationError:
        return ()
    raw = subject.manifest.raw
    return manifest_signers(subject.signatures, raw, looking(settings, key), key)


def _name_of(path: Path) -> str:
    return path.absolute().name


def _version(publication: Publication) -> int:
    return publication.version


def _is_there(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:
        raise UsageError(f"{str(path)!r} is not a path") from None


async def _repair(found: Configuration, subject: _Subject, out: Output) -> dict[str, Any]:
    """Fetch what is missing, verified and put in place in one step."""
    settings = found.settings
    tracker = subject.reference.address if isinstance(subject.reference, Link) else settings.at
    job = Job(
        settings=settings,
        key=fleet_key(settings, tracker),
        manifest=subject.manifest,
        shown=str(subject.path),
        target=subject.path,
        tracker=tracker,
    )
    async with fetched(job, out) as outcome:
        pass
    out.line(f"repaired: {format_size(outcome.fetched_bytes)} were fetched")
    return {"repaired": True, "fetched_bytes": outcome.fetched_bytes}


def _facts(subject: _Subject, damage: Damage) -> dict[str, Any]:
    return {
        "artifact": subject.manifest.id,
        "path": str(subject.path),
        "size_bytes": subject.manifest.size_bytes,
        "chunks": subject.manifest.chunk_count,
        "intact": not damage,
        "bad_chunks": list(damage.bad_chunks),
        "bad_bytes": damage.bad_bytes,
        "differences": list(damage.differences),
        "repaired": False,
    }


def _tell(subject: _Subject, damage: Damage, out: Output) -> None:
    manifest = subject.manifest
    if not damage:
        out.line(
            f"{subject.path}: intact, {format_size(manifest.size_bytes)} in "
            f"{manifest.chunk_count} chunks"
        )
        return
    if damage.bad_chunks:
        out.line(
            f"{subject.path}: {len(damage.bad_chunks)} of {manifest.chunk_count} chunks are "
            f"broken, {format_size(damage.bad_bytes)}"
        )
    files = dict.fromkeys(
        manifest.entries[span.entry_index].path
        for index in damage.bad_chunks
        for span in manifest.spans(index)
    )
    lines = [*damage.differences, *(f"{path}: other bytes" for path in files)]
    for line in lines[:SHOWN_MAX]:
        out.line(f"  {line}")
    if len(lines) > SHOWN_MAX:
        out.line(f"  and {len(lines) - SHOWN_MAX} more")
