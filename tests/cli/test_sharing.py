"""What doctor makes of a node's own account."""

from typing import Any

import pytest

from strew.agent.client import NodeReport
from strew.agent.config import load
from strew.cli.sharing import judge, sharing
from strew.content.reference import Address

HERE = Address("127.0.0.1", 7301)
HAS_ALL = {"complete": True, "state": "seeding", "sent_bytes": 5 << 20, "received_bytes": 0}
TAKES = {"complete": True, "state": "seeding", "sent_bytes": 0, "received_bytes": 64 << 20}
FETCHES = {"complete": False, "state": "fetching", "sent_bytes": 0, "received_bytes": 1 << 20}


def report(
    *swarms: dict[str, Any],
    links: int = 1,
    stale: bool = False,
    members: int = 0,
    suspects: int = 0,
) -> NodeReport:
    return NodeReport(
        id="0" * 32,
        links=links,
        announcer={
            "trackers": ["127.0.0.1:7300"],
            "stale": stale,
            "silent_s": 90.0 if stale else 1.0,
            "last_failure": "refused" if stale else "",
        },
        gossip={"living": members, "suspects": suspects},
        swarms={str(number): swarm for number, swarm in enumerate(swarms)},
    )


@pytest.mark.parametrize(
    ("node", "level", "word"),
    [
        (report(), "ok", "0 artifacts"),
        (report(HAS_ALL, links=0), "ok", "sent 5.00 MiB"),
        (report(HAS_ALL, FETCHES, links=3), "ok", "2 artifacts, 3 peers"),
        (report(FETCHES, links=0), "failed", "nobody is connected"),
        (report(HAS_ALL, stale=True), "failed", "1 artifacts"),
        (report(HAS_ALL, stale=True, members=2), "ok", "2 other members"),
        (report(members=20, suspects=2), "ok", "20 other members"),
        (report(members=20, suspects=3), "warning", "3 members do not answer"),
        (report(TAKES), "ok", "received 64.0 MiB"),
        (report(TAKES, members=2), "warning", "takes and gives nothing"),
        (report(TAKES | {"sent_bytes": 1 << 20}, members=2), "ok", "sent 1.00 MiB"),
        (report(FETCHES | {"state": "paused", "reason": "no space"}), "failed", "not going on"),
    ],
)
def test_a_node_is_judged(node: NodeReport, level: str, word: str) -> None:
    finding = judge(HERE, node)
    assert (finding.check, finding.level) == ("sharing", level)
    assert word in finding.detail
    assert bool(finding.remedy) == (level != "ok")


def test_a_silent_tracker_is_named_as_the_reason() -> None:
    assert "1:30 (refused)" in judge(HERE, report(stale=True)).remedy


def test_where_nobody_answers_one_finding_says_so() -> None:
    flags = {"at": "127.0.0.1:1", "listen": "127.0.0.1:2", "fleet-key": "ab" * 32}
    (finding,) = sharing(load(flags, environ={}).settings)
    assert finding.level == "warning"
    assert "127.0.0.1:1 nor 127.0.0.1:2" in finding.detail and finding.remedy
