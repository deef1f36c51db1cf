"""`strew token`: make, list and revoke tokens at the process that takes them."""

import time
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from strew.access.tokens import TokenRole
from strew.agent.quantity import format_duration, parse_duration
from strew.cli.admission import admin_token
from strew.cli.call import command_app
from strew.cli.connection import connected_by_token
from strew.cli.flags import (
    ConfigFlags,
    DataFlags,
    Text,
    TokenFlags,
    configuration,
    flag,
)
from strew.cli.fleetkey import is_loopback
from strew.cli.joining import join_by_token_command
from strew.cli.output import Output, table
from strew.errors import UsageError
from strew.tracker.admission import TokenReport

app = command_app(
    "token",
    "Make tokens to publish, to look, to join or to make tokens; list and revoke them.\n\n"
    "A token is good at the process at --at, which made it. On the machine of that process its "
    "admin token is found by itself; elsewhere give one with --token.",
)


@app.command
async def new(
    *,
    role: Annotated[
        TokenRole,
        Parameter(
            help="publish: name artifacts. join: be given the fleet key, once. read: look only. "
            "admin: make tokens. [env var: STREW_ROLE]",
            env_var="STREW_ROLE",
        ),
    ],
    scope: Annotated[
        str, flag("--scope", "Names that a publish token may give, such as 'app:*'.")
    ] = "",
    life: Annotated[
        Text,
        flag("--for", "How long it is good. [default: join 1h, admin 24h, publish 30d, read 365d]"),
    ] = None,
    where: TokenFlags = TokenFlags(),
    data: DataFlags = DataFlags(),
    file: ConfigFlags = ConfigFlags(),
    out: Output = Output(),
) -> None:
    """Make a token and print it: its text is shown this once, and kept nowhere."""
    found = configuration("client", file, where, data)
    seconds = _seconds(life)
    at = found.settings.at
    async with connected_by_token(found.settings, at, admin_token(found)) as client:
        made = await client.make(role, scope, seconds)
    out.line(made.token)
    lasts = format_duration((made.expires_s or 0.0) - made.made_s)
    out.note(f"token {made.id} to {role}{f' {made.scope}' if made.scope else ''}, good for {lasts}")
    if role == "join":
        out.note(f"  on the machine that joins:\n    {join_by_token_command(made.token, at)}")
        if is_loopback(at):
            out.note("  elsewhere than on this machine, with an address of it that others reach")
    out.result(**_facts(made), token=made.token)


@app.command
async def ls(
    *,
    where: TokenFlags = TokenFlags(),
    data: DataFlags = DataFlags(),
    file: ConfigFlags = ConfigFlags(),
    out: Output = Output(),
) -> None:
    """List tokens, those that ended within a week too."""
    found = configuration("client", file, where, data)
    async with connected_by_token(found.settings, found.settings.at, admin_token(found)) as client:
        tokens = await client.tokens()
    rows: list[tuple[str, ...]] = [("ID", "ROLE", "STATE", "SCOPE", "MADE", "ENDS", "USED FROM")]
    rows += [_row(token) for token in tokens]
    for line in table(rows):
        out.line(line)
    out.result(tokens=[_facts(token) for token in tokens])


@app.command
async def revoke(
    token_id: Annotated[str, Parameter(name="ID", help="As 'strew token ls' shows it.")],
    /,
    *,
    where: TokenFlags = TokenFlags(),
    data: DataFlags = DataFlags(),
    file: ConfigFlags = ConfigFlags(),
    out: Output = Output(),
) -> None:
    """Make a token good for nothing, at once."""
    if not (token_id.isascii() and token_id.isalnum()):
        raise UsageError(f"{token_id[:40]!r} is no id of a token", hint="see 'strew token ls'")
    found = configuration("client", file, where, data)
    async with connected_by_token(found.settings, found.settings.at, admin_token(found)) as client:
        ended = await client.revoke(token_id)
    out.note(f"token {ended.id} to {ended.role} is good for nothing any more")
    out.result(**_facts(ended))


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except UsageError as error:
        raise UsageError(f"--for: {error.message}", hint=error.hint) from None
    if not seconds:
        raise UsageError("--for: a token must live", hint="write such as 24h")
    return seconds


def _facts(token: TokenReport) -> dict[str, str | float | None]:
    """What may be shown of a token: all but its secret."""
    return {
        "id": token.id,
        "role": token.role,
        "state": token.state,
        "scope": token.scope,
        "made_s": token.made_s,
        "expires_s": token.expires_s,
        "ended_s": token.ended_s,
        "used_from": token.used_from,
    }


def _row(token: TokenReport) -> tuple[str, ...]:
    left_s = (token.expires_s or 0.0) - time.time()
    ends = "never" if token.expires_s is None else f"in {format_duration(max(left_s, 0.0))}"
    made = datetime.fromtimestamp(token.made_s, UTC).strftime("%Y-%m-%d %H:%M")
    return (
        token.id,
        token.role,
        token.state,
        token.scope or "-",
        made,
        ends if token.state == "live" else "-",
        token.used_from or "-",
    )
