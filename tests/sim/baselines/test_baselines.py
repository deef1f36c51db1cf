"""Every baseline in the virtual network: never before its bound, and as near to it as it should."""

import pytest

from strew.sim import bounds
from strew.sim.baselines import BASELINES
from strew.sim.baselines.binomial import bound_s as best_s
from strew.sim.baselines.replicated import spread as replicated
from strew.sim.baselines.sharded import spread as sharded
from strew.sim.baselines.tree import spread as tree
from strew.sim.network import Host, Network
from strew.sim.world import World

RATE = 12.5e6
CHUNK_BYTES = 1 << 18
SEED = 20260801

NEAR = {
    "single": 1.001,
    "replicated": 1.001,
    "sharded": 1.001,
    "scatter": 1.001,
    "chain": 1.001,
    "tree": 1.001,
    "binomial": 1.0 + 1e-9,
    "bittorrent": 2.6,
    "kraken": 2.6,
}
"""Last machine against the bound, with hardly any latency: the plain ways reach theirs, the swarms
lose to queues and to copies the origin gives twice."""

IN_PARTS = {"sharded", "scatter"}
"""Their parts are not the chunks; the bound for chunks does not apply."""


class Trial:
    """A world with equal links."""

    def __init__(
        self,
        nodes: int,
        *,
        latency_s: float = 1e-6,
        seed: int = SEED,
        origin_up: float = RATE,
    ) -> None:
        self.world = World(seed)
        self.network = Network(self.world, latency_s)
        self.origin = self.network.host(origin_up, RATE)
        self.machines = [self.network.host(RATE, RATE) for _ in range(nodes)]

    @property
    def hosts(self) -> tuple[World, Network, Host, list[Host]]:
        return self.world, self.network, self.origin, self.machines

    def play(self, name: str, chunks: int) -> list[float]:
        return BASELINES[name].spread(*self.hosts, chunks * CHUNK_BYTES, chunks)


@pytest.mark.parametrize("nodes", [1, 2, 3, 5, 8, 16, 33])
@pytest.mark.parametrize("chunks", [1, 7, 64])
@pytest.mark.parametrize("name", BASELINES)
def test_no_machine_is_before_the_bounds(name: str, chunks: int, nodes: int) -> None:
    trial = Trial(nodes)
    seconds = trial.play(name, chunks)
    size_bytes = chunks * CHUNK_BYTES
    assert len(seconds) == nodes
    assert min(seconds) >= bounds.line_s(size_bytes, RATE) * (1 - 1e-6)
    assert max(seconds) >= BASELINES[name].bound_s(size_bytes, chunks, nodes, RATE) * (1 - 1e-6)
    if name not in IN_PARTS:
        assert max(seconds) >= best_s(size_bytes, chunks, nodes, RATE) * (1 - 1e-6)


@pytest.mark.parametrize("nodes", [5, 20, 32])
@pytest.mark.parametrize("name", BASELINES)
def test_the_last_machine_is_near_the_bound(name: str, nodes: int) -> None:
    chunks = 64
    last_s = max(Trial(nodes).play(name, chunks))
    bound_s = BASELINES[name].bound_s(chunks * CHUNK_BYTES, chunks, nodes, RATE)
    assert bound_s * (1 - 1e-6) <= last_s <= bound_s * NEAR[name]


@pytest.mark.parametrize("name", BASELINES)
def test_every_machine_receives_the_file_once_and_little_more(name: str) -> None:
    trial = Trial(20)
    trial.play(name, 48)
    size_bytes = 48 * CHUNK_BYTES
    received = sum(host.received_bytes for host in trial.machines)
    sent = sum(host.sent_bytes for host in [trial.origin, *trial.machines])
    assert sent == pytest.approx(received)
    assert 20 * size_bytes * (1 - 1e-9) <= received <= 20 * size_bytes * 1.1
    assert trial.origin.received_bytes == 0


@pytest.mark.parametrize("name", BASELINES)
def test_the_same_seed_gives_the_same_trace(name: str) -> None:
    first, second = Trial(17, latency_s=1e-3), Trial(17, latency_s=1e-3)
    assert first.play(name, 20) == second.play(name, 20)
    assert first.world.trace_digest == second.world.trace_digest


@pytest.mark.parametrize("name", ["bittorrent", "kraken"])
def test_another_seed_gives_another_trace(name: str) -> None:
    first, second = Trial(17), Trial(17, seed=SEED + 1)
    first.play(name, 20)
    second.play(name, 20)
    assert first.world.trace_digest != second.world.trace_digest


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "binomial"])
def test_latency_costs_time(name: str) -> None:
    near, far = max(Trial(9).play(name, 12)), max(Trial(9, latency_s=0.01).play(name, 12))
    assert far > near


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "binomial"])
def test_a_fast_origin_makes_nothing_slower_than_its_own_bound(name: str) -> None:
    seconds = Trial(9, origin_up=4 * RATE).play(name, 40)
    assert max(seconds) >= bounds.origin_s(40 * CHUNK_BYTES, 40, 9, RATE, 4) * (1 - 1e-6)


@pytest.mark.parametrize("name", BASELINES)
def test_each_says_what_it_is(name: str) -> None:
    baseline = BASELINES[name]
    assert baseline.meaning and baseline.formula
    assert "\n" not in baseline.meaning


def test_options_move_the_plain_ways_to_other_bounds() -> None:
    size = 12 * CHUNK_BYTES
    last_s = max(replicated(*Trial(11).hosts, size, 12, servers=5))
    assert last_s == pytest.approx(bounds.replicated_s(size, 11, RATE, 5), rel=1e-3)
    last_s = max(sharded(*Trial(11).hosts, size, 12, servers=5))
    assert last_s == pytest.approx(bounds.sharded_s(size, 11, RATE, 5), rel=1e-3)
    last_s = max(tree(*Trial(30).hosts, size, 12, arity=3))
    assert last_s == pytest.approx(bounds.tree_s(size, 12, 30, RATE, 3), rel=1e-3)
