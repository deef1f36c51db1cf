"""Which Host is ours, and how fast one source may ask."""

import pytest

from strew.announce.allowance import ANNOUNCE_BURST, TRACKER_SLACK
from strew.errors import UnavailableError
from strew.tracker import gate
from strew.tracker.gate import host_rule
from tests.tracker.served import OTHER_KEY, served


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        ("127.0.0.1:7300", True),
        ("10.0.0.1", True),
        ("[::1]:7300", True),
        ("localhost:7300", True),
        ("LOCALHOST", True),
        ("tracker.example:7300", True),
        ("evil.example", False),
        ("tracker.example.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
    ],
)
def test_ip_literals_localhost_and_named_hosts_are_ours(host: str, admitted: bool) -> None:
    assert host_rule("Tracker.example")(host) is admitted


async def test_wrong_credentials_are_limited_by_source_and_right_ones_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A rack behind one address stays in the fleet whatever one of its machines tries."""
    monkeypatch.setattr(gate, "STRANGER_BURST", 5)
    monkeypatch.setattr(gate, "STRANGER_PER_S", 0.1)
    async with served() as on:
        wrong = {"Authorization": f"Bearer {OTHER_KEY.node_token()}"}
        seen = []
        for _ in range(8):
            async with on.session.get(on.url("/api/v1/nodes"), headers=wrong) as answer:
                seen.append(answer.status)
                if answer.status == 429:
                    assert 1 <= int(answer.headers["Retry-After"]) <= 10
        assert seen == [401] * 5 + [429] * 3
        async with on.session.get(on.url("/healthz")) as answer:
            assert answer.status == 429, "who proves nothing shares one budget"
        async with on.session.get(on.url("/nothing")) as answer:
            assert answer.status == 429
        assert await on.client.nodes() == []


async def test_requests_of_one_source_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MEMBER_BURST", 3)
    monkeypatch.setattr(gate, "MEMBER_PER_S", 0.1)
    async with served() as on:
        for _ in range(3):
            await on.client.nodes()
        with pytest.raises(UnavailableError, match="too many requests from this address"):
            await on.client.nodes()


def test_a_fleet_on_one_machine_stays_within_its_budget() -> None:
    """2000 agents that hear of a publication: a burst of announces and three questions each."""
    agents, asks_each = 2000, ANNOUNCE_BURST + TRACKER_SLACK + 3
    assert agents * asks_each <= gate.MEMBER_BURST


async def test_a_body_that_was_not_wanted_ends_its_connection_and_is_answered() -> None:
    async with served() as on:
        url = on.url("/api/v1/artifacts/blake3:" + "0" * 64)
        async with on.session.get(url, data=b"x" * 300_000) as answer:
            assert answer.status == 401 and answer.headers["Connection"] == "close"
