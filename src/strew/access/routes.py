"""Every HTTP route of a node and of a tracker, with the roles it admits: the one table.

Both services take their routes from here, by `op`: a handler without a row cannot be mounted, and
a row that names no role admits nobody. Whoever adds a route decides here who may use it, and
tests/access/test_routes.py asks it with every kind of credential.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from strew.fleet import Role


class Pass(Enum):
    """What a route asks for that asks for no role."""

    OPEN = "open"
    """Nothing: it tells nobody anything of the fleet."""
    FILES = "files"
    """The artifact's own read token (FleetKey.read_token), in the query or as a bearer, or a node's
    token: such an address is given to outside tools."""
    JOIN = "join"
    """Nothing shown: a join token is proved inside, see strew.access.joining. Tries are counted."""


Admits = frozenset[Role] | Pass

READ: Final = frozenset((Role.READ, Role.NODE, Role.PUBLISH, Role.ADMIN))
NODE: Final = frozenset((Role.NODE,))
PUBLISH: Final = frozenset((Role.PUBLISH,))
ADMIN: Final = frozenset((Role.ADMIN,))

POST_TYPES: Final = frozenset(("application/json", "application/octet-stream"))
"""Content types of a POST. A page of another site can have a browser send a POST unasked, but only
with one of three others, or none (Fetch standard, "CORS-safelisted request-header"): those are
refused. PUT and DELETE are never sent unasked, as no answer here allows them to other sites."""


@dataclass(frozen=True, slots=True)
class Route:
    """One row. `op` names its handler, and is its label in metrics and in the audit log."""

    method: str
    path: str
    op: str
    admits: Admits
    held: bool = False
    """Whether the answer stays open as long as the asker likes; its time is not measured."""
    scoped: bool = False
    """Whether it acts on the name in its path, which a scoped token must match."""


_V1 = "/api/v1"
_NAME = "{name:.+}/{tag}"

ROUTES: Final[tuple[Route, ...]] = (
    # what tells nothing of the fleet
    Route("GET", "/", "page", Pass.OPEN),
    Route("GET", "/ui/{path:.*}", "asset", Pass.OPEN),
    Route("GET", "/healthz", "healthz", Pass.OPEN),
    Route("GET", "/readyz", "readyz", Pass.OPEN),
    Route("GET", "/metrics", "metrics", READ),
    Route("GET", f"{_V1}/openapi.json", "openapi", READ),
    # what is known
    Route("GET", f"{_V1}/artifacts", "artifacts", READ),
    Route("GET", f"{_V1}/artifacts/{{id}}", "artifact", READ),
    Route("GET", f"{_V1}/artifacts/{{id}}/manifest", "manifest", READ),
    Route("GET", f"{_V1}/artifacts/{{id}}/envelope", "envelope", READ),
    Route("GET", f"{_V1}/artifacts/{{id}}/contents", "contents", READ),
    Route("GET", f"{_V1}/names", "names", READ),
    Route("GET", f"{_V1}/names/{_NAME}", "resolve", READ),
    Route("GET", f"{_V1}/swarms/{{id}}", "swarm", READ),
    Route("GET", f"{_V1}/swarms/{{id}}/board", "board", READ),
    Route("GET", f"{_V1}/swarms/{{id}}/report", "report", READ),
    Route("GET", f"{_V1}/nodes", "nodes", READ),
    Route("GET", f"{_V1}/members", "members", READ),
    Route("GET", f"{_V1}/targets", "targets", READ),
    Route("GET", f"{_V1}/nodes/{{node}}", "machine", READ),
    Route("GET", f"{_V1}/events", "events", READ, held=True),
    Route("GET", f"{_V1}/node", "node", READ),
    Route("GET", f"{_V1}/transfers", "transfers", READ),
    Route("GET", f"{_V1}/transfers/{{id}}", "transfer", READ),
    Route("GET", f"{_V1}/gossip/nodes", "gossip-nodes", READ),
    Route("GET", f"{_V1}/gossip/names", "gossip-names", READ),
    Route("GET", f"{_V1}/gossip/swarms/{{id}}", "gossip-swarm", READ),
    Route("GET", "/files/{id}/{path:.*}", "files", Pass.FILES, held=True),
    # taking part
    Route("POST", f"{_V1}/announce", "announce", NODE),
    Route("POST", f"{_V1}/telemetry", "telemetry", NODE),
    Route("POST", f"{_V1}/gossip", "gossip", NODE),
    Route("POST", f"{_V1}/transfers", "fetch", NODE),
    Route("POST", f"{_V1}/certificates", "certify", NODE),
    Route("POST", f"{_V1}/probe", "probe", NODE),
    # publishing
    Route("PUT", f"{_V1}/artifacts/{{id}}/manifest", "upload", PUBLISH),
    Route("PUT", f"{_V1}/uploads/{{id}}", "take", PUBLISH),
    Route("PUT", f"{_V1}/names/{_NAME}", "publish", PUBLISH, scoped=True),
    # who may
    Route("GET", f"{_V1}/tokens", "tokens", ADMIN),
    Route("POST", f"{_V1}/tokens", "token-new", ADMIN),
    Route("DELETE", f"{_V1}/tokens/{{token}}", "token-revoke", ADMIN),
    Route("POST", f"{_V1}/join/challenge", "join-challenge", Pass.OPEN),
    Route("POST", f"{_V1}/join", "join", Pass.JOIN),
)


def route_of(op: str) -> Route:
    """The row of one operation; KeyError where there is none."""
    return _BY_OP[op]


_BY_OP: Final = {row.op: row for row in ROUTES}
assert len(_BY_OP) == len(ROUTES), "two rows of one op"
