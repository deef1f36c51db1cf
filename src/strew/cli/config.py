"""`strew config`: which settings there are, their values, and where each value comes from."""

import os
from typing import Annotated

from strew.agent.config import Source, config_folder, nearest_key
from strew.agent.knob import Knob
from strew.agent.settings import KEYS, KNOBS, shown
from strew.cli.call import command_app
from strew.cli.flags import (
    AgentFlags,
    ClientFlags,
    ConfigFlags,
    FollowFlags,
    MemberFlags,
    PublishFlags,
    RateFlags,
    StoreFlags,
    configuration,
    flag,
)
from strew.cli.output import Output, table
from strew.errors import NotFoundError

app = command_app("config", "Show settings, what they mean, and where their values come from.")


@app.default
def show(
    *,
    origin: Annotated[bool, flag("--origin", "Say where each value comes from.")] = False,
    file: ConfigFlags = ConfigFlags(),
    rates: RateFlags = RateFlags(),
    client: ClientFlags = ClientFlags(),
    publisher: PublishFlags = PublishFlags(),
    member: MemberFlags = MemberFlags(),
    follow: FollowFlags = FollowFlags(),
    store: StoreFlags = StoreFlags(),
    agent: AgentFlags = AgentFlags(),
    out: Output = Output(),
) -> None:
    """Show the value of every setting of a node, as flags, environment and file make it."""
    groups = (file, rates, client, publisher, member, follow, store, agent)
    found = configuration("node", *groups)
    rows: list[tuple[str, ...]] = [("SETTING", "VALUE", "ORIGIN")]
    settings: dict[str, dict[str, str]] = {}
    for field, knob in KNOBS.items():
        value = shown(knob, getattr(found.settings, field))
        where = found.origins[field]
        rows.append((knob.key, value or "-", str(where)))
        settings[knob.key] = {
            "value": value,
            "source": where.source.name.lower(),
            "where": str(where),
        }
    for line in table(rows if origin else [row[:2] for row in rows]):
        out.line(line)
    if found.file is None and not any(
        where.source is not Source.DEFAULT for where in found.origins.values()
    ):
        out.note("all defaults; 'strew config explain' lists what can be set, and where")
    out.result(settings=settings, file=str(found.file) if found.file else None)


app.command(show, name="show")


@app.command
def path(*, out: Output = Output()) -> None:
    """Print which file of settings is read unless another is named."""
    folder = config_folder(os.environ)
    if folder is None:
        raise NotFoundError(
            "there is no home folder, so no file is read by itself",
            hint="name one with --config or STREW_CONFIG",
        )
    file = folder / "config.toml"
    out.line(str(file))
    if not file.exists():
        out.note("it does not exist yet")
    out.result(path=str(file), exists=file.exists())


@app.command
def explain(key: str | None = None, /, *, out: Output = Output()) -> None:
    """Explain one setting, or list all: unit, default, limits, what raising and lowering costs."""
    if key is None:
        for line in table([("SETTING", "UNIT", "DEFAULT", "ABOUT"), *map(_row, KEYS.values())]):
            out.line(line)
        out.note("'strew config explain SETTING' says what raising and lowering it costs")
        out.result(settings=[_facts(knob) for knob in KEYS.values()])
        return
    knob = KEYS.get(key.removeprefix("--"))
    if knob is None:
        near = nearest_key(key)
        hint = f"did you mean {near!r}?" if near else "'strew config explain' lists all"
        raise NotFoundError(f"there is no setting {key[:80]!r}", hint=hint)
    for name, text in _facts(knob).items():
        if text:
            out.line(f"{name:<12}{text}")
    out.result(setting=_facts(knob))


def _row(knob: Knob) -> tuple[str, ...]:
    return knob.key, knob.unit, knob.default or "-", knob.about


def _facts(knob: Knob) -> dict[str, str]:
    """A knob in words, ready to print; what it does not have is empty."""
    return {
        "setting": knob.key,
        "about": knob.about,
        "flag": knob.flag,
        "variable": knob.variable,
        "file": f"{knob.key} = {_example(knob)}",
        "unit": knob.unit,
        "default": knob.default,
        "lowest": "" if knob.lowest is None else knob.limit_text(knob.lowest),
        "highest": "" if knob.highest is None else knob.limit_text(knob.highest),
        "raising": knob.raising,
        "lowering": knob.lowering,
    }


def _example(knob: Knob) -> str:
    """How the setting stands in the file of settings."""
    examples = {
        "bytes": '"20G"',
        "bytes/s": '"100M"',
        "HOST:PORT": '"10.0.0.5:7300"',
        "pattern of NAME:TAG": '"app:*"',
        "label": '"rack-12"',
        "folder": '"/srv/strew"',
        "file": '"/etc/strew/node.pem"',
        "ed25519:KEY[=PATTERN]": '"ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=app:*"',
        "file or 64 hex digits": '"/etc/strew/fleet.key"',
        "token or file": '"/etc/strew/publish.token"',
        "host name": '"strew.example.org"',
        "URL": '"http://collector.example.org:4318"',
    }
    example = examples.get(knob.unit) or (
        knob.default if knob.default.isdigit() else f'"{knob.default}"'
    )
    return f"[{example}]" if knob.many else example
