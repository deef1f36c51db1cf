"""`strew show`: what an artifact consists of, and where its files can be had over HTTP."""

import asyncio
import stat
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

import msgspec

from strew.agent.quantity import format_size
from strew.agent.settings import Settings
from strew.cli import lost_time
from strew.cli.call import command_app
from strew.cli.connection import Found, connected, looking, resolve, tracker_of
from strew.cli.flags import (
    ClientFlags,
    ConfigFlags,
    ReferenceArgument,
    Text,
    configuration,
    flag,
)
from strew.cli.fleetkey import fleet_key
from strew.cli.output import Output, table
from strew.cli.signers import (
    Signer,
    asked_signatures,
    facts_of,
    manifest_signers,
    name_signers,
    shown,
)
from strew.content.manifest import Entry, Manifest
from strew.content.reference import Address, Reference, parse_reference
from strew.errors import DiskError
from strew.telemetry.recording import encode_recording
from strew.telemetry.report import report_of

app = command_app("show", "Show what an artifact consists of: files, sizes, modes, chunks.")

_TYPE = {"file": stat.S_IFREG, "dir": stat.S_IFDIR, "link": stat.S_IFLNK}


@app.default
async def show(
    reference: ReferenceArgument,
    /,
    *,
    url: Annotated[
        bool,
        flag(
            "--url", "Print addresses of its files for curl and aria2, with a token to read them."
        ),
    ] = False,
    report: Annotated[
        bool, flag("--report", "Show where the time of its last transfer to the fleet went.")
    ] = False,
    recording: Annotated[
        Text, flag("--recording", "File for what the report is made of; 'strew sim' reads it.")
    ] = None,
    client: ClientFlags = ClientFlags(),
    file: ConfigFlags = ConfigFlags(),
    out: Output = Output(),
) -> None:
    """Show what the reference names."""
    settings = configuration("client", file, client).settings
    wanted = parse_reference(reference)
    if report or recording is not None:
        await _show_report(settings, wanted, recording, out)
        return
    address = tracker_of(settings, wanted)
    key = fleet_key(settings, address)
    async with connected(settings, wanted) as tracker:
        found = await resolve(tracker, wanted)
        manifest = Manifest.parse(await tracker.manifest(found.artifact))
        signatures = await asked_signatures(tracker, found.artifact)
    trusting = looking(settings, key)
    signed = _Signed(
        name_signers(found.publication, trusting, key),
        manifest_signers(signatures, manifest.raw, trusting, key),
    )
    addresses = _addresses(settings, manifest, address) if url else []
    if url:
        _print_addresses(settings, addresses, out)
    else:
        _print(found, manifest, signed, out)
    out.result(
        **_facts(found, manifest),
        signers=facts_of(signed.name),
        manifest_signers=facts_of(signed.manifest),
        **({"urls": addresses} if url else {}),
    )


async def _show_report(
    settings: Settings, wanted: Reference, into: str | None, out: Output
) -> None:
    async with connected(settings, wanted) as tracker:
        found = await resolve(tracker, wanted)
        recording = await tracker.recording(found.artifact)
    if into is not None:
        try:
            await asyncio.to_thread(Path(into).write_bytes, encode_recording(recording))
        except OSError as error:
            raise DiskError(
                f"--recording {into!r}: {error.strerror}", hint="name a file that can be written"
            ) from None
    made = report_of(recording)
    for line in lost_time.lines(made):
        out.line(line)
    out.result(**msgspec.to_builtins(made))


class _Signed(NamedTuple):
    """Who signed the name, and who the manifest."""

    name: tuple[Signer, ...]
    manifest: tuple[Signer, ...]


def _print(found: Found, manifest: Manifest, signed: _Signed, out: Output) -> None:
    params = manifest.params
    facts: list[tuple[str, ...]] = [
        ("reference", found.reference or "-"),
        ("artifact", manifest.id),
        ("name", manifest.name + ("/" if manifest.is_tree else "")),
        ("size", f"{format_size(manifest.size_bytes)} ({manifest.size_bytes} bytes)"),
        (
            "chunks",
            f"{manifest.chunk_count}, cut to {format_size(params.min_bytes)} to "
            f"{format_size(params.max_bytes)}, about {format_size(params.average_bytes)}",
        ),
        ("manifest", format_size(len(manifest.raw))),
        ("signed by", shown(signed.manifest)),
    ]
    if found.publication is not None:
        facts.insert(1, ("named by", shown(signed.name)))
    for line in table(facts):
        out.line(line)
    out.line()
    rows = [
        (_mode(entry), format_size(entry.size_bytes), _path(entry)) for entry in manifest.entries
    ]
    for line in table([("MODE", "SIZE", "PATH"), *rows], right=frozenset({1})):
        out.line(line)


def _print_addresses(settings: Settings, addresses: list[str], out: Output) -> None:
    curl = "curl"
    if settings.profile == "strict":
        curl += f" --cacert {settings.tls_ca} --cert {settings.tls_cert} --key {settings.tls_key}"
    for address in addresses:
        out.line(address)
    if addresses:
        out.note("whoever has such an address can read the artifact's files, and nothing else")
        out.note(f"  {curl} -C - -o FILE '{addresses[0]}'")
        if settings.profile == "lab":
            out.note(f"  aria2c -x 2 -o FILE '{addresses[0]}'")


def _addresses(settings: Settings, manifest: Manifest, address: Address) -> list[str]:
    """One HTTP address for each regular file; the token opens this artifact alone."""
    token = fleet_key(settings, address).read_token(manifest.id)
    scheme = "https" if settings.profile == "strict" else "http"
    return [
        f"{scheme}://{address}/files/{manifest.id}/{quote(entry.path)}?token={token}"
        for entry in manifest.entries
        if entry.kind == "file"
    ]


def _facts(found: Found, manifest: Manifest) -> dict[str, Any]:
    params = manifest.params
    return {
        "reference": found.reference,
        "artifact": manifest.id,
        "name": manifest.name,
        "is_tree": manifest.is_tree,
        "size_bytes": manifest.size_bytes,
        "chunks": manifest.chunk_count,
        "chunk_average_bytes": params.average_bytes,
        "chunk_min_bytes": params.min_bytes,
        "chunk_max_bytes": params.max_bytes,
        "manifest_bytes": len(manifest.raw),
        "entries": [
            {
                "path": entry.path,
                "kind": entry.kind,
                "mode": f"{entry.mode:04o}",
                "size_bytes": entry.size_bytes,
                "target": entry.target,
            }
            for entry in manifest.entries
        ],
    }


def _mode(entry: Entry) -> str:
    """As `ls -l` writes it."""
    return stat.filemode(_TYPE[entry.kind] | entry.mode)


def _path(entry: Entry) -> str:
    return f"{entry.path} -> {entry.target}" if entry.kind == "link" else entry.path
