"""Manifests in the virtual world: who sends them, and what happens where that one dies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from unittest import mock

from strew.announce.referral import ANSWERED_MAX
from strew.sim.fleet import Fleet, Terms
from strew.sim.manifests import manifest_bytes_of
from strew.sim.network import Flow, Host, Network
from strew.sim.peers import SimPeer

CHUNKS = 400
THIN = Terms(nodes=16, chunks=CHUNKS, size_bytes=40_000_000, rate_bytes_per_s=1e6)
FAST = Terms(nodes=16, chunks=CHUNKS, size_bytes=40_000_000, rate_bytes_per_s=625e6)


OnSent = Callable[[Fleet, Host], None]


def senders(terms: Terms, on_sent: OnSent | None = None) -> Counter[int]:
    """Spread a file, and count by host how many manifests it sent; `on_sent` is told to whom."""
    fleet = Fleet(terms)
    found: Counter[int] = Counter()
    start = Network.start

    def counting(
        self: Network, source: Host, target: Host, size: float, done: Callable[[Flow], None]
    ) -> Flow:
        flow = start(self, source, target, size, done)
        if size == manifest_bytes_of(CHUNKS):
            found[source.number] += 1
            if on_sent is not None:
                on_sent(fleet, target)
        return flow

    with mock.patch.object(Network, "start", counting):
        fleet.spread()
    assert fleet.done == fleet.wanted
    return found


def test_on_thin_links_machines_give_it_to_each_other() -> None:
    found = senders(THIN)
    assert sum(found.values()) == THIN.nodes
    assert found[0] == ANSWERED_MAX
    assert max(found.values()) <= ANSWERED_MAX


def test_over_quick_links_nobody_has_to_wait_for_others() -> None:
    found = senders(FAST)
    assert found[0] >= 0.9 * FAST.nodes


def test_who_was_referred_to_a_machine_that_dies_is_answered_all_the_same() -> None:
    killed: list[SimPeer] = []

    def kill_the_first(fleet: Fleet, target: Host) -> None:
        """Whoever is the first to be given it dies while it is on its way."""
        if not killed:
            killed.append(next(p for p in fleet.peers if p.host is target))
            fleet.world.at(fleet.world.now, fleet.kill, killed[0])

    found = senders(THIN, kill_the_first)
    assert killed and found[killed[0].host.number] == 0
    assert sum(found.values()) == THIN.nodes
    assert found[0] == 2 * ANSWERED_MAX  # those who waited for it in vain
