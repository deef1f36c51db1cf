"""The fleet as one process sees it: who lives, who is doubted, who is gone."""

import random
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from pytest import MonkeyPatch

from strew.agent import memberships
from strew.agent.agent import Agent
from strew.agent.memberships import members_report
from strew.gossip.gossip import Gossip
from strew.gossip.protocol import Member, Ping
from strew.messages import DatagramReceived
from tests.gossip.makers import dead, member, suspect

ME = member(0)


def agent_with(gossip: Gossip | None, facts: dict[str, Any] | None = None) -> Agent:
    node = SimpleNamespace(gossip=gossip, snapshot=lambda now: facts or {})
    identity = SimpleNamespace(node=ME.id, zone="rack-1")
    return cast(
        Agent,
        SimpleNamespace(node=node, identity=identity, address=("127.0.0.1", 7400), now=lambda: 0.0),
    )


def fleet(*claims: Member) -> Gossip:
    """A member that knows four others, and heard these claims from the first of them."""
    gossip = Gossip(ME, random.Random(1), 0.0, (), known=[member(n) for n in range(1, 5)])
    teller = member(1)
    message = Ping(teller, 1, claims)
    gossip.handle(DatagramReceived(teller.host, teller.port, message), 0.0)
    return gossip


def test_members_in_trouble_come_first() -> None:
    report = members_report(agent_with(fleet(suspect(3, 1), dead(2))))
    assert [of.state for of in report.members] == ["suspect", "dead", "alive", "alive", "alive"]
    assert report.members[0].by == member(1).id
    assert report.member_count == 5
    assert {of.id for of in report.members} >= {ME.id, member(4).id}


def test_whom_it_only_heard_of_is_told_apart() -> None:
    report = members_report(agent_with(fleet(member(9))))
    met = {of.id: of.met for of in report.members}
    assert not met[member(9).id]
    assert met[member(1).id] and met[ME.id]


def test_who_takes_no_part_knows_itself_alone() -> None:
    report = members_report(agent_with(None))
    assert (report.host, report.port, report.zone) == ("127.0.0.1", 7400, "rack-1")
    assert (report.gossip, report.dht, report.member_count, report.members) == (None, None, 0, ())


def test_a_listing_is_bounded_and_says_how_many_there_are(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(memberships, "MEMBERS_TOLD_MAX", 2)
    report = members_report(agent_with(fleet(dead(2))))
    assert report.member_count == 5
    assert [of.state for of in report.members] == ["dead", "alive"]


def test_the_snapshots_come_as_json_can_tell_them() -> None:
    gossip = fleet()
    report = members_report(agent_with(gossip, {"gossip": gossip.snapshot()}))
    told = msgspec.json.decode(msgspec.json.encode(report))
    assert told["gossip"]["living"] == 4
    assert told["gossip"]["joined"] in (True, False)
