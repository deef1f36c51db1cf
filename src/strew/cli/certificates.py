"""`strew key ca` and `strew key issue`: a fleet's own small CA, and what it signs."""

import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from strew.agent.quantity import parse_duration
from strew.certificates.authority import CERTIFICATE_FILE, ISSUED_FOR_S, KEY_FILE, Authority
from strew.certificates.files import write_private, write_public
from strew.cli.flags import Text, Texts, flag
from strew.cli.output import Output
from strew.errors import UsageError

DAY_S = 86_400.0


def add_commands(app: App) -> None:
    """Put `ca` and `issue` into an app."""
    app.command(make, name="ca")
    app.command(issue)


def make(
    folder: Annotated[str, Parameter(help="Folder to make; keep it where no node can read it.")],
    /,
    *,
    name: Annotated[str, flag("--name", "What to call it.")] = "strew",
    out: Output = Output(),
) -> None:
    """Make a small certificate authority: a private key and its certificate.

    The certificate, ca.pem, goes to every machine (--tls-ca). The key, ca.key, signs for new
    machines; it belongs on one machine, or none that is always on.
    """
    path = _folder(folder)
    authority = Authority.make(path, name, _now())
    until = authority.certificate.not_valid_after_utc
    out.line(str(path / CERTIFICATE_FILE))
    out.note(f"valid until {until:%F}; its key is in {path / KEY_FILE}, keep a copy of both")
    out.note(f"next, for each machine: strew key issue NAME --ca {path} --host ADDRESS")
    out.result(
        certificate=str(path / CERTIFICATE_FILE), key=str(path / KEY_FILE), until=f"{until:%FT%TZ}"
    )


def issue(
    name: Annotated[
        str, Parameter(help="What to call the machine or person; the same name, the same peer id.")
    ],
    /,
    *,
    ca: Annotated[str, flag("--ca", "Folder that 'strew key ca' made.")],
    host: Annotated[
        Texts,
        flag("--host", "Name or IP address others reach it at; may be given several times."),
    ] = None,
    user: Annotated[
        bool, flag("--user", "For commands of a person or script, not for a node.")
    ] = False,
    lasting: Annotated[
        Text, flag("--for", "How long it is valid, such as 24h or 30d. Default: 7d.")
    ] = None,
    into: Annotated[str, flag("--into", "Folder to put NAME.pem and NAME.key in.")] = ".",
    out: Output = Output(),
) -> None:
    """Issue a certificate and its private key.

    A node renews it at two thirds of its life from a 'strew serve' that has --tls-issuer; without
    one, run this again in time and put both files in the old ones' place.
    """
    if user and host:
        raise UsageError("--host does not go with --user", hint="nobody connects to a person")
    for_s = ISSUED_FOR_S if lasting is None else _duration(lasting)
    authority = Authority.open(_folder(ca))
    hosts = [part.strip() for text in host or () for part in text.split(",") if part.strip()]
    issued = authority.issue(name, hosts, _now(), for_s=for_s, is_user=user)
    file = "".join(c if c.isalnum() or c in "-_." else "_" for c in name).lstrip(".") or "_"
    certificate, key = _folder(into) / f"{file}.pem", _folder(into) / f"{file}.key"
    write_private(key, issued.key)
    write_public(certificate, issued.certificate)
    out.line(str(certificate))
    out.note(
        f"{'user' if user else 'peer'} {issued.peer}, valid until {issued.until:%F %T} UTC; "
        f"key in {key}"
    )
    out.note(
        f"use: --profile strict --tls-ca {_folder(ca) / CERTIFICATE_FILE} --tls-cert {certificate} "
        f"--tls-key {key}"
    )
    out.result(
        certificate=str(certificate),
        key=str(key),
        peer=issued.peer,
        until=f"{issued.until:%FT%TZ}",
    )


def _folder(text: str) -> Path:
    if not text or "\0" in text:
        raise UsageError("the name of the folder is empty, or has a NUL character in it")
    return Path(text)


def _duration(text: str) -> float:
    """As parse_duration, and days."""
    try:
        if text.endswith("d"):
            return DAY_S * float(text[:-1])
        return parse_duration(text)
    except (UsageError, ValueError):
        raise UsageError(
            f"--for: {text[:40]!r} is not a duration", hint="write such as 24h or 7d"
        ) from None


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
