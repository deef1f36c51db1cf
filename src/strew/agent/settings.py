"""Every setting of an agent: what it is, its unit, default and limits, and what turning it costs.

One declaration per setting: the field of `Settings` carries its `Knob`, and everything else is made
from that (flags, environment variables, the keys of the file, `strew config explain`, the tests).
A knob's key is the same everywhere: `rate-up` in the file, `--rate-up`, `STREW_RATE_UP`.

Where values come from and which one wins is decided in strew.agent.config.
"""

from pathlib import Path
from typing import Annotated, Literal, get_args, get_type_hints

import msgspec

from strew.access.tokens import parse_token
from strew.agent.anchors import parse_anchor
from strew.agent.knob import (
    Knob,
    parse_choice,
    parse_collector,
    parse_count,
    parse_file,
    parse_folder,
    parse_host,
    parse_listen,
    parse_size_or_none,
    parse_yes_or_no,
    parse_zone,
)
from strew.agent.quantity import (
    MIB,
    UNLIMITED,
    exact_rate,
    exact_size,
    parse_duration,
    parse_rate,
)
from strew.announce.reference import parse_pattern
from strew.content.reference import Address, parse_address
from strew.errors import ConfigurationError
from strew.trust.policy import Anchor

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
Profile = Literal["lab", "strict"]

NODE_PORT = 7301
TRACKER_PORT = 7300

JOIN_MAX = 16
"""Trackers and nodes to begin with: more would only delay saying that none answers."""

FOLLOW_MAX = 64
"""Patterns a node may send in one announce."""

TRUST_MAX = 64
"""Keys named by settings; more belong into the file that 'strew key trust' writes."""

HOSTS_MAX = 16


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of one process, typed; built by strew.agent.config.load, not by hand."""

    listen: Annotated[
        Address,
        Knob(
            "listen",
            parse_listen,
            "TCP address of this machine's one port, for other nodes, HTTP and trackers",
            default=f"127.0.0.1:{NODE_PORT}",
            unit="HOST:PORT",
            raising="an address other machines reach lets them fetch from here; "
            "0.0.0.0 opens every network card",
            lowering="127.0.0.1 keeps it to this machine; port 0 takes any free one",
        ),
    ]
    at: Annotated[
        Address,
        Knob(
            "at",
            parse_address,
            "tracker (or node) that a command talks to",
            default=f"127.0.0.1:{TRACKER_PORT}",
            unit="HOST:PORT",
        ),
    ]
    join: Annotated[
        tuple[Address, ...],
        Knob(
            "join",
            parse_address,
            "trackers or nodes of the fleet to join by; of trackers the first that answers is used",
            unit="HOST:PORT",
            many=JOIN_MAX,
        ),
    ]
    data: Annotated[
        Path | None,
        Knob(
            "data",
            parse_folder,
            "folder of the store: index, keys and artifacts held but not installed",
            default="",  # depends on HOME and role: strew.agent.config.default_data_folder
            unit="folder",
        ),
    ]
    into: Annotated[
        Path,
        Knob(
            "into",
            parse_folder,
            "folder in which followed artifacts appear",
            default=".",
            unit="folder",
        ),
    ]
    follow: Annotated[
        tuple[str, ...],
        Knob(
            "follow",
            parse_pattern,
            "names to fetch as soon as they are published, such as 'app:*'",
            unit="pattern of NAME:TAG",
            many=FOLLOW_MAX,
        ),
    ]
    fleet_key: Annotated[
        str | None,
        Knob(
            "fleet-key",
            str,  # strew.agent.config reads the file it names
            "the fleet's secret: a file with 64 hex digits, or the digits themselves",
            unit="file or 64 hex digits",
            secret=True,
        ),
    ]
    token: Annotated[
        str | None,
        Knob(
            "token",
            parse_token,
            "what to publish or to make tokens with: a token, or the file that holds it",
            unit="token or file",
            secret=True,
        ),
    ]
    join_token: Annotated[
        str | None,
        Knob(
            "join-token",
            parse_token,
            "to be given the fleet key with at the first start, once: a token, or its file",
            unit="token or file",
            secret=True,
        ),
    ]
    allow_host: Annotated[
        tuple[str, ...],
        Knob(
            "allow-host",
            parse_host,
            "names of this machine that HTTP requests may ask for beside its addresses",
            unit="host name",
            many=HOSTS_MAX,
            raising="each name could be made to lead a browser here: take only names that nobody "
            "else can give an address",
        ),
    ]
    profile: Annotated[
        Profile,
        Knob(
            "profile",
            parse_choice(get_args(Profile)),
            "how much proof is asked for: lab asks for the fleet key, strict for certificates too",
            default="lab",
            unit="lab|strict",
            raising="strict: TLS 1.3 with client certificates on every TCP connection, names only "
            "by publishers named with --trust, and no start while any of it is missing",
            lowering="lab: whoever holds the fleet key may publish, and TCP can be listened to",
        ),
    ]
    trust: Annotated[
        tuple[Anchor, ...],
        Knob(
            "trust",
            parse_anchor,
            "public key whose names are believed, as KEY=PATTERN only those that match",
            unit="ed25519:KEY[=PATTERN]",
            many=TRUST_MAX,
        ),
    ]
    sign_with: Annotated[
        Path | None,
        Knob(
            "sign-with",
            parse_file,
            "private key to sign what is published with, as 'strew key new' makes it",
            unit="file",
        ),
    ]
    name_life_s: Annotated[
        float,
        Knob(
            "name-life",
            parse_duration,
            "how long a name that is signed here may begin fetches",
            default="365d",
            unit="s",
            lowest=1,
            highest=10 * 365 * 86400,
            raising="an old record can be played to a node without memory for longer",
            lowering="names must be published again more often",
        ),
    ]
    tls_ca: Annotated[
        Path | None,
        Knob(
            "tls-ca",
            parse_file,
            "profile strict: certificates of the CAs whose nodes are of this fleet, in PEM",
            unit="file",
        ),
    ]
    tls_cert: Annotated[
        Path | None,
        Knob(
            "tls-cert",
            parse_file,
            "profile strict: this machine's certificate in PEM; a new one is taken while running",
            unit="file",
        ),
    ]
    tls_key: Annotated[
        Path | None,
        Knob(
            "tls-key",
            parse_file,
            "profile strict: the certificate's private key in PEM, for its owner alone (mode 0600)",
            unit="file",
        ),
    ]
    tls_issuer: Annotated[
        Path | None,
        Knob(
            "tls-issuer",
            parse_folder,
            "profile strict: folder of the CA ('strew key ca') with which this process renews the "
            "certificates of nodes that ask",
            unit="folder",
        ),
    ]
    zone: Annotated[
        str,
        Knob(
            "zone",
            parse_zone,
            "rack or site of this machine: chunks are taken from the own zone first",
            unit="label",
            raising="smaller zones spare more of the links between them",
            lowering="no zone: every machine counts as near",
        ),
    ]
    rate_up_bytes_per_s: Annotated[
        int | None,
        Knob(
            "rate-up",
            parse_rate,
            "most that is sent; --rate sets both ways",
            default=UNLIMITED,
            unit="bytes/s",
            lowest=1024,
            raising="others are done sooner; above the uplink's real rate queues grow, and with "
            "them the delay of everything else on it",
            lowering="leaves room for other traffic; the whole fleet waits for its slowest uplinks",
        ),
    ]
    rate_down_bytes_per_s: Annotated[
        int | None,
        Knob(
            "rate-down",
            parse_rate,
            "most that is received; --rate sets both ways",
            default=UNLIMITED,
            unit="bytes/s",
            lowest=1024,
            raising="this machine is done sooner",
            lowering="leaves room for other traffic; below the uplink's rate it is the bottleneck",
        ),
    ]
    upload_slots: Annotated[
        int,
        Knob(
            "upload-slots",
            parse_count,
            "sends at the same time",
            default="3",
            unit="sends",
            lowest=1,
            highest=64,
            raising="fills a fast or distant link better; each send gets slower, and a chunk "
            "reaches its second holder later",
            lowering="1 leaves gaps at each hand-over: 7.7 % over the bound instead of 1.5 %",
        ),
    ]
    download_credit: Annotated[
        int,
        Knob(
            "download-credit",
            parse_count,
            "chunks asked for and not yet here; should equal upload-slots",
            default="3",
            unit="chunks",
            lowest=1,
            highest=64,
            raising="more chunks wait at senders that could serve others "
            "(1.19 of the bound at 4, 1.29 at 5)",
            lowering="the downlink idles between chunks (1.26 of the bound at 2)",
        ),
    ]
    neighbours: Annotated[
        int,
        Knob(
            "neighbours",
            parse_count,
            "nodes connected to in each swarm",
            default="40",
            unit="nodes",
            lowest=2,
            highest=256,
            raising="more to choose from, more connections and HAVE messages: both grow with it",
            lowering="below 12 rare chunks are found late, below 4 a swarm can fall apart",
        ),
    ]
    store_limit_bytes: Annotated[
        int | None,
        Knob(
            "store-limit",
            parse_size_or_none,
            "most that held artifacts may take on disk before the oldest unpinned are dropped",
            default=UNLIMITED,
            unit="bytes",
            lowest=MIB,
            raising="more old versions stay, of which new ones can reuse chunks",
            lowering="the disk stays free; new versions are fetched whole",
        ),
    ]
    chunk_stall_s: Annotated[
        float,
        Knob(
            "chunk-stall",
            parse_duration,
            "a chunk that takes longer than this is asked for elsewhere",
            default="5s",
            unit="s",
            lowest=0.5,
            highest=600,
            raising="patience with slow links; a dead neighbour holds its chunk for longer",
            lowering="quick to leave a dead neighbour; slow ones are left too, their bytes wasted",
        ),
    ]
    dht_open: Annotated[
        bool,
        Knob(
            "dht-open",
            parse_yes_or_no,
            "speak the hash table in the open (BEP 5), so that BitTorrent programs take part; all "
            "nodes of a fleet must agree",
            default="no",
            unit="yes|no",
            raising="anybody who reaches the UDP port may ask who has an artifact, and name others",
            lowering="only the fleet's machines take part",
        ),
    ]
    log_format: Annotated[
        LogFormat,
        Knob(
            "log-format",
            parse_choice(get_args(LogFormat)),
            "log lines on stderr for people or for programs",
            default="text",
            unit="text|json",
        ),
    ]
    log_level: Annotated[
        LogLevel,
        Knob(
            "log-level",
            parse_choice(get_args(LogLevel)),
            "least severe lines that are written",
            default="info",
            unit="debug|info|warning|error",
            raising="fewer lines",
            lowering="debug writes several lines per chunk and slows a fast transfer",
        ),
    ]
    otlp_endpoint: Annotated[
        str | None,
        Knob(
            "otlp-endpoint",
            parse_collector,
            "OpenTelemetry collector (OTLP over HTTP) that is sent a span for each transfer; needs "
            "the extra: pip install 'strew[otel]'",
            unit="URL",
        ),
    ]

    @property
    def data_folder(self) -> Path:
        """The store's folder; ConfigurationError where neither a setting nor a home names one."""
        if self.data is None:
            raise ConfigurationError(
                "no folder for the store: there is no home folder here",
                hint="give --data DIR or set STREW_DATA",
            )
        return self.data

    @property
    def fleet_key_text(self) -> str:
        """The key's 64 hex digits; ConfigurationError where there is none."""
        if self.fleet_key is None:
            raise ConfigurationError(
                "no fleet key: every process of a fleet holds the same secret",
                hint="give --fleet-key FILE or set STREW_FLEET_KEY; 'strew serve' prints it "
                "in its join line",
            )
        return self.fleet_key


RATE_BOTH = Knob(
    "rate",
    parse_rate,
    "most that is sent and most that is received, each",
    unit="bytes/s",
    lowest=1024,
)
"""Fills rate-up and rate-down where these are not given at the same place."""


def _collect() -> dict[str, Knob]:
    """Field name -> knob, in the order of the fields."""
    knobs: dict[str, Knob] = {}
    for field, hint in get_type_hints(Settings, include_extras=True).items():
        knob = next(part for part in get_args(hint) if isinstance(part, Knob))
        knobs[field] = knob
    return knobs


KNOBS: dict[str, Knob] = _collect()
"""Every setting by the name of its field."""

KEYS: dict[str, Knob] = {knob.key: knob for knob in (*KNOBS.values(), RATE_BOTH)}
"""Every setting by the key that users write."""


def shown(knob: Knob, value: object) -> str:
    """A value as one would type it; secrets are not shown."""
    if value is None or value == () or value == "":
        unlimited = knob.unit in ("bytes", "bytes/s") and value is None
        return UNLIMITED if unlimited else ""
    if knob.secret:
        return "(set, not shown)"
    if isinstance(value, tuple) and not isinstance(value, Address):
        return ",".join(str(part) for part in value)
    if knob.unit == "bytes" and isinstance(value, int):
        return exact_size(value)
    if knob.unit == "bytes/s" and isinstance(value, int):
        return exact_rate(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if knob.unit == "s":
        return f"{value:.10g}s"
    return str(value)
