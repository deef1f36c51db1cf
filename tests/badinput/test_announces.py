"""Announces that no honest node makes."""

import json
from typing import Any

import pytest

from strew.announce.protocol import FOLLOWS_MAX, HOLDINGS_MAX, WANTS_MAX
from tests.badinput.daemons import Answer, Daemons
from tests.badinput.test_requests import refused

ANNOUNCE = "/api/v1/announce"
ID = "blake3:" + "7" * 64
HOLDING = {"artifact": ID, "have_chunks": 0, "chunk_count": 8, "state": "fetching"}
STORM = 40


def node_id(number: int) -> str:
    """Of a node that no other test uses."""
    return f"{number:032x}"


def announced(daemons: Daemons, announce: dict[str, Any]) -> Answer:
    return daemons.ask("serve", "POST", ANNOUNCE, json.dumps(announce).encode())


def left(daemons: Daemons, number: int) -> None:
    """The node of a test leaves; nobody is to dial it in the tests after that."""
    gone = announced(daemons, {"node": node_id(number), "port": 9, "leaving": True})
    assert gone.status == 200


WRONG: dict[str, dict[str, Any]] = {
    "no node": {"port": 9},
    "an id of 31 digits": {"node": "0" * 31, "port": 9},
    "an id of other signs": {"node": "g" * 32, "port": 9},
    "an id in capitals": {"node": "A" * 32, "port": 9},
    "an id with a line end": {"node": "0" * 32 + "\n", "port": 9},
    "no port": {"node": node_id(1)},
    "port 0": {"node": node_id(1), "port": 0},
    "port 65536": {"node": node_id(1), "port": 65536},
    "a negative port": {"node": node_id(1), "port": -1},
    "a port of 2^80": {"node": node_id(1), "port": 1 << 80},
    "a port as text": {"node": node_id(1), "port": "7301"},
    "a broken port": {"node": node_id(1), "port": 7301.5},
    "a zone of 65 signs": {"node": node_id(1), "port": 9, "zone": "z" * 65},
    "a host of 65 signs": {"node": node_id(1), "port": 9, "host": "1" * 65},
    "too many patterns": {"node": node_id(1), "port": 9, "follows": ["a:*"] * (FOLLOWS_MAX + 1)},
    "an empty pattern": {"node": node_id(1), "port": 9, "follows": [""]},
    "a long pattern": {"node": node_id(1), "port": 9, "follows": ["a" * 300]},
    "too many wants": {"node": node_id(1), "port": 9, "wants": [ID] * (WANTS_MAX + 1)},
    "a want that is no id": {"node": node_id(1), "port": 9, "wants": ["app:1"]},
    "too many holdings": {
        "node": node_id(1),
        "port": 9,
        "holdings": [HOLDING] * (HOLDINGS_MAX + 1),
    },
    "a negative seen": {"node": node_id(1), "port": 9, "seen": -1},
    "a seen of 2^63": {"node": node_id(1), "port": 9, "seen": 1 << 63},
    "leaving as text": {"node": node_id(1), "port": 9, "leaving": "yes"},
    "more chunks than there are": {
        "node": node_id(1),
        "port": 9,
        "holdings": [HOLDING | {"have_chunks": 9}],
    },
    "a negative number of chunks": {
        "node": node_id(1),
        "port": 9,
        "holdings": [HOLDING | {"have_chunks": -1}],
    },
    "an unknown state": {
        "node": node_id(1),
        "port": 9,
        "holdings": [HOLDING | {"state": "perfect"}],
    },
    "a reason of 257 signs": {
        "node": node_id(1),
        "port": 9,
        "holdings": [HOLDING | {"reason": "r" * 257}],
    },
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_announce_is_refused_and_makes_no_node(daemons: Daemons, name: str) -> None:
    problem = refused(announced(daemons, WRONG[name]), 400)
    assert problem["code"] == "protocol"
    nodes = daemons.fleet.api.json("nodes")
    assert {node["port"] for node in nodes} == set(daemons.ports.values())


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"[" * 500_000, b'{"node":' * 100_000, b"\xff\xfe{}", b"{" + b" " * 99],
    ids=["nothing", "a list", "null", "deep lists", "deep objects", "no UTF-8", "half"],
)
def test_a_body_that_is_no_announce_is_refused(daemons: Daemons, body: bytes) -> None:
    refused(daemons.ask("serve", "POST", ANNOUNCE, body), 400)


def test_an_announce_of_more_than_a_megabyte_is_refused(daemons: Daemons) -> None:
    body = json.dumps({"node": node_id(1), "port": 9, "host": "h" * (1 << 20)}).encode()
    refused(daemons.ask("serve", "POST", ANNOUNCE, body), 413)


def test_nobody_speaks_for_a_node_at_another_address(daemons: Daemons) -> None:
    fleet = daemons.fleet
    true = next(n for n in fleet.api.json("nodes") if n["port"] == daemons.node.port)
    forged = {"node": true["id"], "port": 9, "host": "203.0.113.5"}
    for more in ({}, {"leaving": True}):
        problem = refused(announced(daemons, forged | more), 403)
        assert "known at another address" in str(problem["detail"])
    assert true["port"] in {node["port"] for node in fleet.api.json("nodes")}


@pytest.mark.parametrize(
    "host", ["224.0.0.1", "0.0.0.0", "255.255.255.255", "evil.example", "::", "ff02::1", "1.2.3"]
)
def test_an_address_that_is_no_machine_is_not_handed_out(daemons: Daemons, host: str) -> None:
    number = 100
    answer = announced(daemons, {"node": node_id(number), "port": 9, "host": host})
    assert answer.status == 200
    hosts = {n["host"] for n in daemons.fleet.api.json("nodes") if n["id"] == node_id(number)}
    assert hosts == {"127.0.0.1"}
    left(daemons, number)


def test_a_storm_of_announces_is_slowed_down_and_harms_no_other(daemons: Daemons) -> None:
    number = 200
    announce = {"node": node_id(number), "port": 9}
    answers = [announced(daemons, announce) for _ in range(STORM)]
    statuses = [answer.status for answer in answers]
    assert set(statuses) == {200, 429} and statuses.count(429) > STORM / 2
    slowed = answers[statuses.index(429)]
    assert int(slowed.headers["retry-after"]) >= 1
    assert announced(daemons, {"node": node_id(number + 1), "port": 9}).status == 200
    left(daemons, number)
    left(daemons, number + 1)


def test_a_node_that_claims_all_of_an_unknown_artifact_makes_none(daemons: Daemons) -> None:
    number = 300
    holding = {"artifact": ID, "have_chunks": 8, "chunk_count": 8, "state": "seeding"}
    announce = {"node": node_id(number), "port": 9, "holdings": [holding]}
    assert announced(daemons, announce).status == 200
    body = json.dumps({"artifact": ID}).encode()
    named = daemons.ask("serve", "PUT", "/api/v1/names/made/up", body, role="publish")
    refused(named, 409)
    left(daemons, number)
