"""`strew gc`: what a store need not keep, and dropping it."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from strew.agent.quantity import format_size, parse_size
from strew.cli.call import command_app
from strew.cli.flags import ConfigFlags, DataFlags, Text, configuration, flag
from strew.cli.output import Output, table
from strew.cli.stores import data_folders
from strew.content.digest import ArtifactId
from strew.content.reference import parse_reference
from strew.errors import NotFoundError, UsageError
from strew.store.disk import DiskStore
from strew.store.index import Row
from strew.store.survey import StoreSurvey

app = command_app(
    "gc",
    "Drop what a store need not keep.\n\n"
    "Forgets artifacts whose files are gone, then deletes the oldest held artifacts that are not "
    "pinned, until the rest fits into the limit. Files that were installed or published are never "
    "deleted. A running node or serve keeps its own --store-limit; stop it before using this.",
)

ARTIFACTS_MAX = 1000
"""Named in one command."""


@app.default
def gc(
    *artifacts: Annotated[
        str, Parameter(help="Ids (blake3:...) of artifacts to drop, even if they are pinned.")
    ],
    limit: Annotated[
        Text, flag("--limit", "Most that held artifacts may take, such as 20G. 0 drops all.")
    ] = None,
    dry_run: Annotated[bool, flag("--dry-run", "Only show what would go.")] = False,
    store: DataFlags = DataFlags(),
    file: ConfigFlags = ConfigFlags(),
    out: Output = Output(),
) -> None:
    """Drop what is over the limit, and what is named."""
    found = configuration("node", file, store)
    limit_bytes = _limit(limit) if limit is not None else found.settings.store_limit_bytes
    named = [_artifact(text) for text in artifacts[:ARTIFACTS_MAX]]
    gone: list[Row] = []
    missing = set(named)
    for folder in data_folders(found):
        survey = StoreSurvey(folder)
        ours = [row for row in survey.rows if row.artifact in missing]
        missing -= {row.artifact for row in ours}
        chosen = survey.droppable(limit_bytes)
        rows = list({row.artifact: row for row in (*chosen, *ours)}.values())
        if rows and not dry_run:
            _drop(folder, limit_bytes, [row.artifact for row in ours])
        gone += rows
    if missing:
        raise NotFoundError(
            f"{min(missing)} is in no store of this machine", hint="name its --data"
        )
    freed_bytes = sum(row.size_bytes for row in gone if row.kind == "held")
    _tell(gone, freed_bytes, out, dry_run=dry_run)
    out.result(
        dry_run=dry_run,
        freed_bytes=freed_bytes,
        artifacts=[
            {
                "artifact": row.artifact,
                "name": row.name,
                "size_bytes": row.size_bytes,
                "kind": row.kind,
                "path": row.root,
            }
            for row in gone
        ],
    )


def _drop(folder: Path, limit_bytes: int | None, named: list[ArtifactId]) -> None:
    """DiskError if an agent uses the folder."""
    store = DiskStore(folder)
    try:
        store.gc(limit_bytes=limit_bytes, dry_run=False)
        here = {stored.artifact for stored in store.artifacts()}
        for artifact in named:
            if artifact in here:
                store.drop(artifact)
    finally:
        store.close()


def _tell(gone: list[Row], freed_bytes: int, out: Output, *, dry_run: bool) -> None:
    if gone:
        rows = [(row.name, format_size(row.size_bytes), _what(row), row.artifact) for row in gone]
        head = ("NAME", "SIZE", "WHAT", "ARTIFACT")
        for line in table([head, *rows], right=frozenset({1})):
            out.line(line)
    verb = "would be freed" if dry_run else "freed"
    out.note(f"{format_size(freed_bytes)} {verb}" if gone else "nothing to drop")


def _what(row: Row) -> str:
    return "deleted" if row.kind == "held" else "forgotten"


def _limit(text: str) -> int:
    try:
        return parse_size(text)
    except UsageError as error:
        raise UsageError(f"--limit: {error.message}", hint=error.hint) from None


def _artifact(text: str) -> ArtifactId:
    reference = parse_reference(text)
    if not isinstance(reference, str):
        raise UsageError(f"{text[:80]!r} is not an artifact id", hint="'strew ls' shows the ids")
    return ArtifactId(reference)
