"""Plain BEP 5 over real sockets, with libtorrent as the other program."""

import random
import selectors
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from strew.dht.contact import ID_BYTES, Address, Key, node_id_of
from strew.dht.dht import Dht
from strew.dht.events import DhtEvent, Find, Provide, ProvidersFound
from strew.dht.krpc import BYTES_IN_MAX, Krpc, decode, encode
from strew.messages import DatagramReceived, PeerId, SendDatagram, Tick

HOST = "127.0.0.1"
WITHIN_S = 30.0
"""Longest wait for libtorrent, which does some of its work every few seconds only."""

OURS = Key(0x5A << 152 | 1)
THEIRS = Key(0xA5 << 152 | 2)
PORT_OF_THEIRS = 6999


@dataclass(eq=False)
class Node:
    """A table behind a UDP socket."""

    dht: Dht
    udp: socket.socket
    found: dict[Key, set[Address]] = field(default_factory=lambda: defaultdict(set))

    @property
    def address(self) -> Address:
        host, port = self.udp.getsockname()
        return host, port

    def tell(self, event: DhtEvent) -> None:
        for action in self.dht.handle(event, time.monotonic()):
            match action:
                case SendDatagram(message=Krpc() as message):
                    self.udp.sendto(encode(message), (action.host, action.port))
                case ProvidersFound():
                    self.found[action.key].update(action.addresses)


class Loopback:
    """Nodes of ours on loopback, and what runs them while something is waited for."""

    def __init__(self, nodes: int) -> None:
        self.selector = selectors.DefaultSelector()
        self.nodes: list[Node] = []
        for number in range(nodes):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind((HOST, 0))
            udp.setblocking(False)
            seeds = [self.nodes[0].address] if self.nodes else []
            me = node_id_of(PeerId(f"{number:032x}"))
            dht = Dht(me, random.Random(number), time.monotonic(), udp.getsockname()[1], seeds)
            node = Node(dht, udp)
            self.nodes.append(node)
            self.selector.register(udp, selectors.EVENT_READ, node)

    def close(self) -> None:
        for node in self.nodes:
            node.udp.close()
        self.selector.close()

    def run_until(self, condition: Callable[[], bool], what: str) -> None:
        """Serve until the condition holds; fails after `WITHIN_S`."""
        end_s = time.monotonic() + WITHIN_S
        while not condition():
            assert time.monotonic() < end_s, f"not within {WITHIN_S:.0f} s: {what}"
            self._serve(0.05)

    def _serve(self, seconds: float) -> None:
        for ready, _ in self.selector.select(seconds):
            data, (host, port) = ready.data.udp.recvfrom(BYTES_IN_MAX)
            ready.data.tell(DatagramReceived(host, port, decode(data)))
        for node in self.nodes:
            if node.dht.deadline() <= time.monotonic():
                node.tell(Tick())


@pytest.fixture
def ours() -> Iterator[Loopback]:
    loopback = Loopback(3)
    yield loopback
    loopback.close()


class Stranger:
    """A libtorrent session that knows one of our nodes and nobody else."""

    def __init__(self, router: Address) -> None:
        import libtorrent

        wanted = {
            "listen_interfaces": f"{HOST}:0",
            "dht_bootstrap_nodes": f"{router[0]}:{router[1]}",
            "enable_dht": True,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "dht_restrict_routing_ips": False,
            "dht_restrict_search_ips": False,
            "dht_prefer_verified_node_ids": False,
            "dht_enforce_node_id": False,
            "dht_ignore_dark_internet": False,
            "alert_mask": libtorrent.alert.category_t.all_categories,
        }
        known = libtorrent.default_settings()
        self.libtorrent = libtorrent
        settings: Any = {name: value for name, value in wanted.items() if name in known}
        self.session = libtorrent.session(settings)
        self.nodes = 0
        self.peers: set[Address] = set()

    def announce(self, key: Key, port: int) -> None:
        self.session.dht_announce(self._hash(key), port)

    def look_for(self, key: Key) -> None:
        self.session.dht_get_peers(self._hash(key))

    def listen(self) -> None:
        """Take in what the session has to tell: the size of its table, peers it found."""
        self.session.post_session_stats()
        for alert in self.session.pop_alerts():
            if isinstance(alert, self.libtorrent.session_stats_alert):
                self.nodes = alert.values["dht.dht_nodes"]
            elif isinstance(alert, self.libtorrent.dht_get_peers_reply_alert):
                self.peers.update((host, port) for host, port in alert.peers())

    def _hash(self, key: Key) -> Any:
        return self.libtorrent.sha1_hash(key.to_bytes(ID_BYTES, "big"))


def test_libtorrent_joins_by_us_announces_to_us_and_each_finds_the_other(ours: Loopback) -> None:
    first, second, third = ours.nodes
    ours.run_until(
        lambda: all(node.dht.snapshot().size == 2 for node in ours.nodes), "our own table"
    )
    stranger = Stranger(first.address)

    def heard(condition: Callable[[], bool]) -> Callable[[], bool]:
        def listened() -> bool:
            stranger.listen()
            return condition()

        return listened

    ours.run_until(heard(lambda: stranger.nodes >= 2), "libtorrent joins by one of our nodes")
    ours.run_until(
        heard(lambda: all(node.dht.snapshot().size == 3 for node in ours.nodes)),
        "our tables take libtorrent in",
    )

    second.tell(Provide(OURS, second.address[1]))
    ours.run_until(
        heard(lambda: (OURS, 3) in second.dht.snapshot().provided), "libtorrent takes our announce"
    )
    stranger.look_for(OURS)
    ours.run_until(heard(lambda: second.address in stranger.peers), "libtorrent finds our provider")

    stranger.announce(THEIRS, PORT_OF_THEIRS)
    ours.run_until(
        heard(lambda: any(node.dht.snapshot().stored_keys >= 2 for node in (first, third))),
        "our nodes keep libtorrent's announce",
    )
    second.tell(Find(THEIRS))
    ours.run_until(
        heard(lambda: (HOST, PORT_OF_THEIRS) in second.found[THEIRS]), "we find libtorrent's peer"
    )
