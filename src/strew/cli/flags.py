"""Flags that several commands share, made from the knobs of strew.agent.settings.

Each group is a dataclass that a command takes as one keyword parameter with a default, `rates:
RateFlags = RateFlags()`; cyclopts spreads its fields into flags. Values stay text here:
strew.agent.config understands them, together with the environment and the file, so that a wrong
one is told the same way wherever it stands.
"""

from dataclasses import dataclass, fields
from typing import Annotated

from cyclopts import Parameter

from strew.agent.config import Configuration, FlagValue, Role, load
from strew.agent.settings import KEYS, TRACKER_PORT

Text = str | None
Texts = list[str] | None


def setting(key: str, *, default: str = "") -> Parameter:
    """The flag of one knob, its help page line made from what the knob knows.

    `default` is what its command has where that is not the knob's own.
    """
    knob = KEYS[key]
    details = (
        f"[env var: {knob.variable}]"  # in cyclopts' own words, which strew.cli.flags.flag gets
    )
    if default or knob.default:
        details += f" [default: {default or knob.default}]"
    about = knob.about[0].upper() + knob.about[1:]
    return Parameter(name=knob.flag, help=f"{about}. {details}", negative="", show_default=False)


def flag(name: str, about: str, *, short: str = "") -> Parameter:
    """A flag of one command that is no setting; it too has its variable STREW_..."""
    variable = "STREW_" + name.removeprefix("--").upper().replace("-", "_")
    return Parameter(
        name=[name, short] if short else name,
        help=about,
        env_var=variable,
        negative="",
        show_default=False,
        allow_leading_hyphen=short != "",  # `-o -` is standard output
    )


ReferenceArgument = Annotated[
    str, Parameter(help="NAME:TAG, blake3:<64 hex digits> or strew://HOST:PORT/NAME:TAG.")
]
"""What commands that look at one artifact take."""


@Parameter(name="*", group="Settings")
@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFlags:
    """For every command that reads settings."""

    config: Annotated[
        Text,
        Parameter(name="--config", help="File of settings. [env var: STREW_CONFIG]"),
    ] = None


@Parameter(name="*", group="Settings")
@dataclass(frozen=True, slots=True, kw_only=True)
class RateFlags:
    """For every command that moves bytes."""

    rate: Annotated[Text, setting("rate")] = None
    rate_up: Annotated[Text, setting("rate-up")] = None
    rate_down: Annotated[Text, setting("rate-down")] = None


@Parameter(name="*", group="Settings")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFlags:
    """For commands that ask a tracker or a node."""

    at: Annotated[Text, setting("at")] = None
    fleet_key: Annotated[Text, setting("fleet-key")] = None
    profile: Annotated[Text, setting("profile")] = None
    trust: Annotated[Texts, setting("trust")] = None
    tls_ca: Annotated[Text, setting("tls-ca")] = None
    tls_cert: Annotated[Text, setting("tls-cert")] = None
    tls_key: Annotated[Text, setting("tls-key")] = None


@Parameter(name="*", group="Settings")
@dataclass(frozen=True, slots=True, kw_only=True)
class SigningFlags:
    """For commands that give names."""

    sign_with: Annotated[Text, setting("sign-with")] = None
    name_life: Annotated[Text, setting("name-life")] = None


@Parameter(name="*", group="Settings")
@dataclass(frozen=True, slots=True, kw_only=True)
class PublishFlags:
    """For the command that publishes, beside those of a client."""

    token: Annotated[Text, setting("token")] = None


@Parameter(name="*", group="Settings")
@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFlags:
    """For commands that make tokens."""

    at: Annotated[Text, setting("at")] = None
    token: Annotated[Text, setting("token")] = None
    profile: Annotated[Text, setting("profile")] = None
    tls_ca: Annotated[Text, setting("tls-ca")] = None
    tls_cert: Annotated[Text, setting("tls-cert")] = None
    tls_key: Annotated[Text, setting("tls-key")] = None


@Parameter(name="*", group="Settings")
@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFlags:
    """For commands that join a fleet."""

    join: Annotated[Texts, setting("join")] = None
    fleet_key: Annotated[Text, setting("fleet-key")] = None
    trust: Annotated[Texts, setting("trust")] = None
    sign_with: Annotated[Text, setting("sign-with")] = None
    name_life: Annotated[Text, setting("name-life")] = None
    profile: Annotated[Text, setting("profile")] = None
    tls_ca: Annotated[Text, setting("tls-ca")] = None
    tls_cert: Annotated[Text, setting("tls-cert")] = None
    tls_key: Annotated[Text, setting("tls-key")] = None
    zone: Annotated[Text, setting("zone")] = None


@Parameter(name="*", group="Settings")
@dataclass(frozen=True, slots=True, kw_only=True)
class FollowFlags:
    """For the agent of a machine."""

    follow: Annotated[Texts, setting("follow")] = None
    into: Annotated[Text, setting("into")] = None


@Parameter(name="*", group="Settings")
@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFlags:
    """For commands that open a store."""

    data: Annotated[Text, setting("data")] = None
    store_limit: Annotated[Text, setting("store-limit")] = None


@Parameter(name="*", group="Settings")
@dataclass(frozen=True, slots=True, kw_only=True)
class DataFlags:
    """For commands that look at a store."""

    data: Annotated[Text, setting("data")] = None


@Parameter(name="*", group="Settings")
@dataclass(frozen=True, slots=True, kw_only=True)
class ServeFlags:
    """For the tracker and origin."""

    listen: Annotated[Text, setting("listen", default=f"127.0.0.1:{TRACKER_PORT}")] = None
    allow_host: Annotated[Texts, setting("allow-host")] = None
    fleet_key: Annotated[Text, setting("fleet-key")] = None
    trust: Annotated[Texts, setting("trust")] = None
    sign_with: Annotated[Text, setting("sign-with")] = None
    name_life: Annotated[Text, setting("name-life")] = None
    profile: Annotated[Text, setting("profile")] = None
    tls_ca: Annotated[Text, setting("tls-ca")] = None
    tls_cert: Annotated[Text, setting("tls-cert")] = None
    tls_key: Annotated[Text, setting("tls-key")] = None
    tls_issuer: Annotated[Text, setting("tls-issuer")] = None
    zone: Annotated[Text, setting("zone")] = None
    upload_slots: Annotated[Text, setting("upload-slots")] = None
    neighbours: Annotated[Text, setting("neighbours")] = None
    dht_open: Annotated[bool | None, setting("dht-open")] = None
    log_format: Annotated[Text, setting("log-format")] = None
    log_level: Annotated[Text, setting("log-level")] = None
    otlp_endpoint: Annotated[Text, setting("otlp-endpoint")] = None


@Parameter(name="*", group="Settings")
@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFlags:
    """For processes that run for long and listen."""

    listen: Annotated[Text, setting("listen")] = None
    allow_host: Annotated[Texts, setting("allow-host")] = None
    join_token: Annotated[Text, setting("join-token")] = None
    upload_slots: Annotated[Text, setting("upload-slots")] = None
    download_credit: Annotated[Text, setting("download-credit")] = None
    neighbours: Annotated[Text, setting("neighbours")] = None
    chunk_stall: Annotated[Text, setting("chunk-stall")] = None
    dht_open: Annotated[bool | None, setting("dht-open")] = None
    log_format: Annotated[Text, setting("log-format")] = None
    log_level: Annotated[Text, setting("log-level")] = None
    otlp_endpoint: Annotated[Text, setting("otlp-endpoint")] = None


Group = (
    ConfigFlags
    | RateFlags
    | ClientFlags
    | PublishFlags
    | SigningFlags
    | TokenFlags
    | MemberFlags
    | FollowFlags
    | StoreFlags
    | DataFlags
    | ServeFlags
    | AgentFlags
)


def configuration(role: Role, *groups: Group) -> Configuration:
    """All settings, with the flags of these groups on top; see strew.agent.config.load."""
    given: dict[str, FlagValue] = {}
    config_path: str | None = None
    for group in groups:
        for field in fields(group):
            value = getattr(group, field.name)
            if field.name == "config":
                config_path = value
            elif value is not None:
                text = "yes" if value is True else value
                given[field.name.replace("_", "-")] = text
    return load(given, config_path=config_path, role=role)
