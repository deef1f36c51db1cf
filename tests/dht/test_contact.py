"""Places in the space, and addresses that may be somebody's."""

import pytest

from strew.content.digest import ArtifactId
from strew.dht.contact import key_of, node_id_of, reachable
from strew.messages import PeerId


def test_a_key_is_the_first_twenty_bytes_of_the_digest() -> None:
    assert key_of(ArtifactId("blake3:" + "01" * 20 + "ff" * 12)) == int("01" * 20, 16)


def test_a_node_keeps_its_place() -> None:
    one, other = PeerId("0" * 32), PeerId("0" * 31 + "1")
    assert node_id_of(one) == 0x880A2880D4D1BFE36544686A0F2465FA13B42831
    assert node_id_of(one) != node_id_of(other) < 1 << 160


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "223.255.255.255"])
def test_one_machine_s_address_is_reachable(host: str) -> None:
    assert reachable(host, 1) and reachable(host, 65535)


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("10.0.0.1", 0),
        ("10.0.0.1", 65536),
        ("0.0.0.0", 7301),
        ("0.1.2.3", 7301),
        ("224.0.0.1", 7301),
        ("255.255.255.255", 7301),
        ("10.0.0.256", 7301),
        ("10.0.0", 7301),
        ("10.0.0.1.2", 7301),
        ("10.0.0.-1", 7301),
        ("10.0.0.0001", 7301),
        ("10.0.0.²", 7301),
        ("::1", 7301),
        ("node", 7301),
        ("", 7301),
    ],
)
def test_an_address_that_can_be_no_machine_s_is_not(host: str, port: int) -> None:
    assert not reachable(host, port)
