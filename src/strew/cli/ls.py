"""`strew ls`: names and artifacts that a tracker knows."""

import time
from typing import Any

from strew.agent.quantity import format_duration, format_size
from strew.cli.call import command_app
from strew.cli.connection import connected
from strew.cli.flags import ClientFlags, ConfigFlags, configuration
from strew.cli.output import Output, table
from strew.publication import Publication
from strew.tracker.reports import ArtifactReport

app = command_app("ls", "List the names and artifacts that the tracker knows.")


@app.default
async def ls(
    *,
    client: ClientFlags = ClientFlags(),
    file: ConfigFlags = ConfigFlags(),
    out: Output = Output(),
) -> None:
    """List what is known, by name; artifacts without a name come last."""
    settings = configuration("client", file, client).settings
    async with connected(settings) as tracker:
        publications = await tracker.names()
        artifacts = await tracker.artifacts()
    publications.sort(key=lambda publication: publication.reference)
    unnamed = [report for report in artifacts if not report.references]
    now_s = time.time()
    rows: list[tuple[str, ...]] = [("REFERENCE", "SIZE", "CHUNKS", "AGE", "ARTIFACT")]
    rows += [_row(p.reference, p, now_s - p.published_s) for p in publications]
    rows += [_row("-", report, now_s - report.added_s) for report in unnamed]
    if len(rows) == 1:
        out.note("nothing was published yet: strew push PATH NAME:TAG")
    else:
        for line in table(rows, right=frozenset({1, 2, 3})):
            out.line(line)
    out.result(
        names=[_named(publication) for publication in publications],
        unnamed=[_unnamed(report) for report in unnamed],
    )


def _row(reference: str, what: Publication | ArtifactReport, age_s: float) -> tuple[str, ...]:
    return (
        reference,
        format_size(what.size_bytes),
        str(what.chunk_count),
        format_duration(max(0.0, age_s)),
        what.artifact,
    )


def _named(publication: Publication) -> dict[str, Any]:
    return {
        "reference": publication.reference,
        "artifact": publication.artifact,
        "name": publication.name,
        "size_bytes": publication.size_bytes,
        "chunks": publication.chunk_count,
        "published_unix_s": publication.published_s,
    }


def _unnamed(report: ArtifactReport) -> dict[str, Any]:
    return {
        "artifact": report.artifact,
        "name": report.name,
        "size_bytes": report.size_bytes,
        "chunks": report.chunk_count,
        "added_unix_s": report.added_s,
    }
