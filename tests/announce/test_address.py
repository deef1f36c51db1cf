"""Whose word counts for an address."""

import pytest

from strew.announce.address import (
    address_of,
    dialable_handout,
    is_dialable,
    is_loopback,
    reachable_host,
)
from strew.announce.protocol import Handout, Peer
from tests.announce.makers import artifact_id, peer_id


@pytest.mark.parametrize(
    ("source", "hint", "address"),
    [
        ("10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.5", "10.9.9.9", "10.0.0.5"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "10.0.0.7", "10.0.0.7"),
        ("127.0.0.1", "127.0.0.9", "127.0.0.9"),
        ("127.0.0.1", "224.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "evil.example", "127.0.0.1"),
        ("::ffff:10.0.0.5", "", "10.0.0.5"),
        ("::1", "", "::1"),
        ("", "10.0.0.7", ""),
    ],
)
def test_a_node_is_where_its_connection_comes_from(source: str, hint: str, address: str) -> None:
    assert address_of(source, hint) == address


def test_a_node_on_the_trackers_machine_is_where_the_asker_reached_the_tracker() -> None:
    assert reachable_host("127.0.0.1", asker="10.0.0.5", reached="10.0.0.1") == "10.0.0.1"
    assert reachable_host("127.0.0.1", asker="127.0.0.1", reached="127.0.0.1") == "127.0.0.1"
    assert reachable_host("10.0.0.9", asker="10.0.0.5", reached="10.0.0.1") == "10.0.0.9"
    assert reachable_host("127.0.0.1", asker="10.0.0.5", reached="") == "127.0.0.1"


def test_loopback_is_known_in_all_its_forms() -> None:
    assert is_loopback("127.3.2.1") and is_loopback("::1") and is_loopback("::ffff:127.0.0.1")
    assert not is_loopback("10.0.0.1") and not is_loopback("localhost")


@pytest.mark.parametrize(
    "host", ["224.0.0.1", "0.0.0.0", "::", "ff02::1", "255.255.255.255", "a.b"]
)
def test_what_is_no_machines_address_is_not_dialled(host: str) -> None:
    assert not is_dialable(host)
    handout = Handout(
        lease_s=1.0,
        interval_s=1.0,
        seen=0,
        peers={
            artifact_id("app"): (
                Peer(peer_id(1), "10.0.0.1", 7301),
                Peer(peer_id(2), host, 7301),
                Peer(peer_id(3), "10.0.0.3", 7301),
            )
        },
    )
    cleaned = dialable_handout(handout, peer_id(1))
    assert cleaned.peers == {artifact_id("app"): (Peer(peer_id(3), "10.0.0.3", 7301),)}
