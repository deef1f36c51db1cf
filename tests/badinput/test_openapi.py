"""Both daemons keep to the document they give of themselves, whatever they are asked.

Schemathesis reads the document and makes requests that it allows, and others that it does not;
hypothesis chooses them, seeded as everywhere.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from strew.access.routes import ADMIN, NODE, PUBLISH, ROUTES, Pass, Route
from strew.tracker.vault import ADMIN_FILE
from tests.badinput.daemons import PATIENCE_S, Daemons, running_daemons

load_all_checks()
KEPT_RULES = CHECKS.get_by_names(
    ["status_code_conformance", "content_type_conformance", "response_schema_conformance"]
)

EXAMPLES = 10
"""Requests of each sort to each operation of each daemon: a few seconds in all."""

FAULTS_ALLOWED = (503, 507)
"""Not now, and no space: answers that promise to be others later. Any other 5xx is a fault."""

TRACKERS_OWN = {"announce", "telemetry"}
STREAMS = {"events"}
"""Answers that do not end are read by other tests."""

ROWS = [row for row in ROUTES if row.op not in STREAMS]
ASKED = [
    pytest.param(at, row, id=f"{at}-{row.op}")
    for at in ("serve", "node")
    for row in ROWS
    if at == "serve" or row.op not in TRACKERS_OWN
]


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemons]:
    """Daemons of their own, which hear of many nodes that are not there."""
    with running_daemons(tmp_path_factory.mktemp("openapi")) as daemons:
        yield daemons


@pytest.fixture(scope="module")
def schemas(daemons: Daemons) -> dict[str, Any]:
    """The documents of both, as schemathesis reads them."""
    return {
        at: schemathesis.openapi.from_dict(
            json.loads(daemons.ask(at, "GET", "/api/v1/openapi.json").body)
        )
        for at in daemons.ports
    }


def token(daemons: Daemons, at: str, row: Route) -> str:
    """One that opens this route."""
    if row.admits == ADMIN:
        data = daemons.node.data
        if at == "serve":
            data = Path(daemons.fleet.env["HOME"]) / ".local/share/strew/serve"
        return (data / ADMIN_FILE).read_text().strip()
    if row.admits == PUBLISH:
        return daemons.key.publish_token()
    assert row.admits == NODE or isinstance(row.admits, Pass) or row.admits >= NODE
    return daemons.key.node_token()


def known(daemons: Daemons, at: str, row: Route) -> dict[str, str]:
    """What stands in paths for things that are there."""
    nodes = json.loads(daemons.ask(at, "GET", "/api/v1/nodes").body)
    return {
        "node": nodes[0]["id"],
        "id": daemons.manifest.id,
        "name": "app",
        "tag": "1",
        "path": "app.js" if row.op == "asset" else daemons.file.name,
        "token": "0" * 16,
    }


@pytest.mark.parametrize(("at", "row"), ASKED)
def test_every_answer_is_as_the_document_says(
    daemons: Daemons, schemas: dict[str, Any], at: str, row: Route
) -> None:
    operations = (found.ok() for found in schemas[at].get_all_operations())
    operation = next(of for of in operations if of.definition.raw["operationId"] == row.op)
    parts = {
        name: value for name, value in known(daemons, at, row).items() if f"{{{name}" in row.path
    }
    asked = st.one_of(
        operation.as_strategy(path_parameters=parts) if parts else st.nothing(),
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )
    headers = {"Authorization": f"Bearer {token(daemons, at, row)}"}
    base = f"http://127.0.0.1:{daemons.ports[at]}"

    statuses: set[int] = set()
    with requests.Session() as session:

        @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
        @given(case=asked)
        def each(case: Any) -> None:
            answer = case.call(base_url=base, session=session, headers=headers, timeout=PATIENCE_S)
            statuses.add(answer.status_code)
            fault = answer.status_code >= 500 and answer.status_code not in FAULTS_ALLOWED
            assert not fault, (answer.status_code, answer.text)
            case.validate_response(answer, checks=KEPT_RULES)

        each()
    if row.method == "GET":
        assert 200 in statuses, statuses
    daemons.unharmed()
