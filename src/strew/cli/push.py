"""`strew push`: publish a file or a folder, and see it through the fleet."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from strew.agent.client import NodeClient
from strew.agent.keyfile import read_signing_key
from strew.agent.quantity import format_duration, format_size
from strew.agent.settings import Settings
from strew.agent.trusting import signatory_of
from strew.cli.call import command_app
from strew.cli.connection import connected, deadline
from strew.cli.ending import interruptible
from strew.cli.flags import (
    ClientFlags,
    ConfigFlags,
    PublishFlags,
    RateFlags,
    SigningFlags,
    Text,
    configuration,
    flag,
)
from strew.cli.fleetkey import fleet_key
from strew.cli.logs import configure_logs
from strew.cli.output import Output
from strew.cli.progress import Progress
from strew.cli.screen import Screen
from strew.cli.showing import shown
from strew.cli.uploading import ingested, publish, upload
from strew.cli.waiting import wait_for_fleet
from strew.content.digest import ARTIFACT_ID_PREFIX, ArtifactId
from strew.content.reference import Name, parse_name, parse_reference
from strew.errors import PartialError, UsageError
from strew.publication import Publication
from strew.tracker.reports import SwarmSummary
from strew.trust.signing import Signatory

app = command_app(
    "push",
    "Publish a file or a folder.\n\n"
    "It is handed to the process at --at, 'strew serve' or any node, which is its origin from then "
    "on; this machine is no longer needed. Nodes that follow NAME:TAG start at once.",
)


@app.default
async def push(
    source: Annotated[
        str, Parameter(help="PATH of a file or folder, or the id (blake3:...) of what is stored.")
    ],
    name: Annotated[
        str | None,
        Parameter(help="NAME:TAG to give it; without, PATH's own name and the tag 'latest'."),
    ] = None,
    /,
    *,
    wait: Annotated[
        bool, flag("--wait", "Wait until every node that follows it has it, or failed.")
    ] = False,
    within: Annotated[Text, flag("--deadline", "Give up after this long, such as 10m.")] = None,
    signing: SigningFlags = SigningFlags(),
    client: ClientFlags = ClientFlags(),
    publisher: PublishFlags = PublishFlags(),
    rates: RateFlags = RateFlags(),
    file: ConfigFlags = ConfigFlags(),
    out: Output = Output(),
) -> int:
    """Publish a path, or name what is stored already, then at once."""
    found = configuration("client", file, client, publisher, rates, signing)
    configure_logs(found, quiet=True)
    is_id = source.lower().startswith(ARTIFACT_ID_PREFIX)
    published_as = _name_for(source, name, is_id=is_id)
    signatory = _signatory(found.settings)  # before anything is read: the key may be missing
    async with interruptible(), deadline(within), connected(found.settings) as tracker:
        if is_id:
            artifact = (await tracker.artifact(_artifact(source))).artifact
            new_bytes, raw = 0, None
        else:
            async with ingested(Path(source), out) as ingest:
                artifact, raw = ingest.manifest.id, ingest.manifest.raw
                new_bytes = await upload(found.settings, tracker, ingest, out)
        published = await publish(tracker, published_as, artifact, raw, signatory)
        facts = _told(published.publication, new_bytes, out)
        if not wait:
            out.result(**facts)
            return 0
        return await _see_through(tracker, facts, published.asked_s, out)


def _signatory(settings: Settings) -> Signatory | None:
    """The key of --sign-with, and what else this machine signs with; None if the process at --at is
    to sign."""
    if settings.sign_with is None:
        return None
    publisher = read_signing_key(settings.sign_with)
    return signatory_of(settings, fleet_key(settings, settings.at), publisher)


def _artifact(text: str) -> ArtifactId:
    reference = parse_reference(text)
    assert isinstance(reference, str)  # it starts as an id does
    return ArtifactId(reference)


def _told(publication: Publication, new_bytes: int, out: Output) -> dict[str, Any]:
    """Tell that nodes may fetch now; the facts of the result."""
    facts = {
        "artifact": publication.artifact,
        "reference": publication.reference,
        "size_bytes": publication.size_bytes,
        "chunks": publication.chunk_count,
        "new_bytes": new_bytes,
    }
    out.event("published", **facts)
    out.line(f"{publication.reference} {publication.artifact}")
    out.note(
        f"published {format_size(publication.size_bytes)} in {publication.chunk_count} chunks, "
        f"of which {format_size(new_bytes)} were new to the origin"
    )
    return facts


async def _see_through(
    tracker: NodeClient, facts: dict[str, Any], asked_s: float | None, out: Output
) -> int:
    """Wait for the fleet; exit code 8 if some of it failed."""
    artifact, shown_as = facts["artifact"], facts["reference"]
    sent_bytes = await _origin_sent_bytes(tracker, artifact)
    progress = Progress() if not out.json else out.progress()
    screen = Screen(None if out.json or out.quiet else sys.stderr)
    try:
        async with shown(tracker, artifact, screen, shown_as):
            summary = await wait_for_fleet(tracker, artifact, progress, shown_as, since_s=asked_s)
    finally:
        progress.close()
    sent_bytes = await _origin_sent_bytes(tracker, artifact) - sent_bytes
    size_bytes = facts["size_bytes"]
    sent_ratio = sent_bytes / size_bytes if size_bytes else 0.0
    out.note(_outcome(summary, sent_ratio))
    out.result(
        **facts,
        nodes_done=summary.following_done,
        nodes_failed=summary.following_failed,
        seconds_last=summary.done_s_last,
        seconds_median=summary.done_s_median,
        origin_sent_ratio=sent_ratio,
    )
    if summary.following_failed:
        out.error(
            PartialError.code,
            f"{summary.following_failed} of {summary.following} nodes failed",
            f"'strew status {facts['reference']}' shows which, and why",
        )
        return PartialError.exit_code
    return 0


async def _origin_sent_bytes(tracker: NodeClient, artifact: ArtifactId) -> int:
    """Payload the origin has sent so far, of its own account: the tracker's is seconds old."""
    swarm = (await tracker.node()).swarms.get(artifact, {})
    return int(swarm.get("sent_bytes", 0))


def _outcome(summary: SwarmSummary, sent_ratio: float) -> str:
    if not summary.following:
        return "no node follows it"
    last = median = ""
    if summary.done_s_last is not None and summary.done_s_median is not None:
        last = f"; the last after {format_duration(summary.done_s_last)}"
        median = f", half of them after {format_duration(summary.done_s_median)}"
    return (
        f"{summary.following_done} of {summary.following} nodes have it{last}{median}; "
        f"the origin sent {sent_ratio:.2f} times its size"
    )


def _name_for(source: str, name: str | None, *, is_id: bool) -> Name:
    if name is not None:
        return parse_name(name)
    if is_id:
        raise UsageError(
            f"{source[:80]!r}: a stored artifact needs a name", hint="strew push ID NAME:TAG"
        )
    base = os.path.basename(os.path.abspath(source))
    try:
        return parse_name(f"{base}:latest")
    except UsageError as error:
        raise UsageError(error.message, hint="give a name: strew push PATH NAME:TAG") from None
