"""The OpenAPI document of a process: its routes, and what they take and give.

Paths, methods and roles come from the one table (strew.access.routes), schemas from the types that
handlers read and clients decode: neither can be told wrong. Beside them stands one sentence for
each operation. The form is OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec

from strew import __version__
from strew.access.joining import ChallengeAnswer, ChallengeRequest, JoinAnswer, JoinRequest
from strew.access.routes import Pass, Route
from strew.agent.client import NodeReport, TransferReport
from strew.agent.contents import ContentsReport
from strew.agent.memberships import MembersReport
from strew.agent.probing import ProbeReport, ProbeRequest
from strew.agent.requests import FetchRequest
from strew.announce.protocol import Announce, Handout
from strew.content.reference import NAME_MAX_CHARS, TAG_MAX_CHARS
from strew.publication import Publication
from strew.telemetry.protocol import Telemetry, TelemetryWanted
from strew.telemetry.recording import Recording
from strew.telemetry.report import Report
from strew.telemetry.view import BoardView, TransferSummary
from strew.tracker.admission import TokenReport, TokenRequest
from strew.tracker.client import PEM
from strew.tracker.location import HELD, PORT
from strew.tracker.problem import CONTENT_TYPE, Problem
from strew.tracker.reporting import RECORDING
from strew.tracker.reports import ArtifactReport, MachineView, PublishRequest, SwarmReport
from strew.tracker.reports import NodeReport as FleetNode
from strew.tracker.targets import TargetGroup

VERSION: Final = "3.1.1"

Schema = dict[str, Any]

JSON: Final = "application/json"
TEXT: Final = "text/plain"
HTML: Final = "text/html"
ANY: Final = "*/*"
BYTES: Final = "application/octet-stream"
EVENTS: Final = "text/event-stream"

_ID: Final[Schema] = {"type": "string", "pattern": "^blake3:[0-9a-f]{64}$"}
_WORD = "[A-Za-z0-9][A-Za-z0-9._-]*"
_PARTS: Final[dict[str, Schema]] = {
    "id": _ID,
    "name": {"type": "string", "pattern": f"^{_WORD}(/{_WORD})*$", "maxLength": NAME_MAX_CHARS},
    "tag": {"type": "string", "pattern": f"^{_WORD}$", "maxLength": TAG_MAX_CHARS},
    "path": {"type": "string", "minLength": 1},
    "token": {"type": "string", "minLength": 1},
    "node": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
}
"""What stands in paths."""

_TEMPLATE = re.compile(r"\{(\w+)(?::[^{}]*)?\}")
"""A part of a path, with the rule that only the router needs."""


class Spoken(NamedTuple):
    """What one operation is about. `takes` and `gives` are types, told in JSON, or the media type
    of what is not JSON; a tuple where the answer is of one of several types. `also` are statuses
    beside `status` that are no refusals."""

    about: str
    gives: Any = None
    takes: Any = None
    status: int = 200
    query: tuple[str, ...] = ()
    needs_query: bool = False
    also: tuple[int, ...] = ()


SPOKEN: Final[dict[str, Spoken]] = {
    "page": Spoken("The dashboard.", HTML, also=(304,)),
    "asset": Spoken("A file of the dashboard.", ANY, also=(304,)),
    "healthz": Spoken("Whether the process lives.", TEXT),
    "readyz": Spoken("Whether it takes part already.", TEXT, also=(503,)),
    "metrics": Spoken("Metrics in Prometheus' form.", TEXT),
    "openapi": Spoken("This document.", Schema),
    "artifacts": Spoken("What artifacts there are.", list[ArtifactReport]),
    "artifact": Spoken("What an artifact consists of, and its names.", ArtifactReport),
    "manifest": Spoken(
        "The exact bytes of a manifest.", BYTES, query=(HELD, PORT), also=(304, 307)
    ),
    "envelope": Spoken("The signed manifest, as a DSSE envelope.", Schema, query=(HELD,)),
    "contents": Spoken("What files an artifact has, and what it shares.", ContentsReport),
    "names": Spoken("What names there are.", list[Publication]),
    "resolve": Spoken("What a name names.", Publication),
    "swarm": Spoken("Who has how much of an artifact.", SwarmReport),
    "board": Spoken("All that is shown of a transfer; `board` events go on from it.", BoardView),
    "report": Spoken(
        "Where the time of a transfer went, or the recording that says so.",
        (Report, Recording),
        query=(RECORDING,),
    ),
    "nodes": Spoken("Which nodes live.", list[FleetNode]),
    "members": Spoken("The fleet as gossip and the hash table see it.", MembersReport),
    "targets": Spoken("Which nodes live, as Prometheus' HTTP discovery asks.", list[TargetGroup]),
    "machine": Spoken("One machine: its transfers, neighbours, bans and events.", MachineView),
    "events": Spoken("What happens, as server-sent events.", EVENTS, query=("kinds",)),
    "node": Spoken("This node as it is now.", NodeReport),
    "transfers": Spoken("Transfers that run or ended, newest first.", list[TransferSummary]),
    "transfer": Spoken("How far a fetch is.", TransferReport),
    "gossip-nodes": Spoken("Which nodes live, by gossip.", list[FleetNode]),
    "gossip-names": Spoken("What names there are, by gossip.", list[Publication]),
    "gossip-swarm": Spoken("Who has how much of an artifact, by gossip.", SwarmReport),
    "files": Spoken(
        "A file of an artifact, or a Range of it.", BYTES, query=("token",), also=(206, 304, 416)
    ),
    "announce": Spoken("A node tells its state, and hears of peers.", Handout, Announce),
    "telemetry": Spoken("A node tells how its transfers go.", TelemetryWanted, Telemetry),
    "gossip": Spoken("One body of an exchange between two members.", BYTES, BYTES),
    "certify": Spoken("Renew the certificate of this connection.", PEM, BYTES),
    "probe": Spoken("Have this process dial the asker back.", ProbeReport, ProbeRequest),
    "fetch": Spoken("Have this node fetch an artifact.", TransferReport, FetchRequest, 202),
    "upload": Spoken("Give the tracker a manifest.", Schema, BYTES, also=(201,)),
    "take": Spoken(
        "Have this node be the origin of what the asker serves at a port.",
        *(TransferReport, BYTES, 200, (PORT,), True),
    ),
    "publish": Spoken("Give an artifact a name.", Publication, PublishRequest),
    "tokens": Spoken("What tokens there are.", list[TokenReport]),
    "token-new": Spoken("Make a token.", TokenReport, TokenRequest, 201),
    "token-revoke": Spoken("End a token.", TokenReport),
    "join-challenge": Spoken("Begin to join by a token.", ChallengeAnswer, ChallengeRequest),
    "join": Spoken("Prove a join token; the answer is sealed.", JoinAnswer, JoinRequest),
}
"""By op of strew.access.routes, each of which must be here."""


def document(rows: Iterable[Route]) -> Schema:
    """The document of a process that has these routes."""
    rows = list(rows)
    kinds = [kind for row in rows for kind in (SPOKEN[row.op].gives, SPOKEN[row.op].takes)]
    single = chain.from_iterable(kind if isinstance(kind, tuple) else (kind,) for kind in kinds)
    types = [Problem, *filter(_is_type, single)]
    found, schemas = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    schema_of = dict(zip(types, found, strict=True))
    paths: dict[str, Schema] = {}
    for row in rows:
        path = paths.setdefault(_TEMPLATE.sub(r"{\1}", row.path), {})
        path[row.method.lower()] = _operation(row, schema_of)
    made = {
        "openapi": VERSION,
        "info": {"title": "strew", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
    return dict(_portable(made))


def _operation(row: Route, schema_of: dict[Any, Schema]) -> Schema:
    spoken = SPOKEN[row.op]
    made: Schema = {
        "operationId": row.op,
        "summary": spoken.about,
        "description": _who(row),
        "security": [] if isinstance(row.admits, Pass) else [{"bearer": []}],
        "parameters": _parameters(row, spoken),
        "responses": _responses(spoken, schema_of),
    }
    if spoken.takes is not None:
        made["requestBody"] = {"required": True, "content": _content(spoken.takes, schema_of)}
    return made


def _who(row: Route) -> str:
    if row.admits is Pass.FILES:
        return "For the artifact's own read token, or a node's."
    if isinstance(row.admits, Pass):
        return "For anyone." if row.admits is Pass.OPEN else "For whoever proves a join token."
    return f"For tokens of role {', '.join(sorted(role.name.lower() for role in row.admits))}."


def _parameters(row: Route, spoken: Spoken) -> list[Schema]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": _PARTS[name]}
        for name in _TEMPLATE.findall(row.path)
    ]
    for name in spoken.query:
        schema: Schema = {"type": "string"}
        if name == PORT:
            schema = {"type": "integer", "minimum": 1, "maximum": 65535}
        required = spoken.needs_query
        found.append({"name": name, "in": "query", "required": required, "schema": schema})
    return found


def _responses(spoken: Spoken, schema_of: dict[Any, Schema]) -> Schema:
    good: Schema = {"description": "As asked.", "content": _content(spoken.gives, schema_of)}
    return {
        str(spoken.status): good,
        **{str(status): {"description": "See RFC 9110."} for status in spoken.also},
        "default": {
            "description": "A refusal, by the status that says why.",
            "content": {CONTENT_TYPE: {"schema": schema_of[Problem]}},
        },
    }


def _content(kind: Any, schema_of: dict[Any, Schema]) -> Schema:
    if isinstance(kind, str):
        return {kind: {"schema": {"type": "string"}}}
    if isinstance(kind, tuple):
        return {JSON: {"schema": {"anyOf": [schema_of[each] for each in kind]}}}
    return {JSON: {"schema": schema_of[kind]} if _is_type(kind) else {}}


def _is_type(kind: Any) -> bool:
    return kind is not None and kind is not Schema and not isinstance(kind, str)


def _portable(value: Any) -> Any:
    """Without the one sign of our patterns that only Python knows; no ``$`` of them is ever before
    the end of a line, as JSON Schema's has no other meaning."""
    if isinstance(value, dict):
        return {name: _portable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(inner) for inner in value]
    return value.replace("\\Z", "$") if isinstance(value, str) else value
