"""The ceiling reaches T* exactly, for any number of machines."""

import pytest

from strew.sim.baselines import binomial
from strew.sim.network import Network
from strew.sim.world import World


@pytest.mark.parametrize("chunks", [1, 2, 3, 9, 40])
def test_the_last_machine_is_done_at_the_bound(chunks: int) -> None:
    for nodes in [*range(1, 36), 63, 64, 65, 100]:
        world = World(1)
        network = Network(world, 0.0)
        origin, *machines = [network.host(1.0, 1.0) for _ in range(nodes + 1)]
        seconds = binomial.spread(world, network, origin, machines, chunks, chunks)
        assert max(seconds) == binomial.bound_s(chunks, chunks, nodes, 1.0)
        assert all(machine.received_bytes == chunks for machine in machines)
        assert origin.sent_bytes <= max(seconds)


def test_the_slowest_link_sets_the_pace() -> None:
    world = World(1)
    network = Network(world, 0.0)
    origin, one, two = network.host(4.0, 4.0), network.host(2.0, 1.0), network.host(3.0, 3.0)
    assert max(binomial.spread(world, network, origin, [one, two], 10, 10)) == 11.0
