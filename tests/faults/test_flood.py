"""A machine of the same network sends datagrams to all others as fast as its link carries them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from strew.lab.network import open_bench
from strew.lab.terms import Terms
from tests.faults.hosts import Machines
from tests.faults.races import Races
from tests.lab.root import needs_root

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(240), needs_root]

NODES = 8
SIZE_BYTES = 32_000_000
RATE_BYTES_PER_S = 3_000_000
"""Of each link, that of the flood too: no machine gets more than a ninth of it."""

PROMISE_B = 1.3


@pytest.fixture(scope="module")
def races(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Races]:
    folder = tmp_path_factory.mktemp("fleet")
    terms = Terms(nodes=NODES + 1, rate_bytes_per_s=RATE_BYTES_PER_S)
    with asyncio.Runner() as runner:
        opening = open_bench(terms, tmp_path_factory.mktemp("bench") / "hosts")
        bench = runner.run(opening.__aenter__())
        try:
            with Machines(folder, bench) as fleet:
                origin = fleet.tracker("origin", **fleet.on(0))
                nodes = [
                    fleet.member(f"n{n}", by=[origin.at], follow="app:*", **fleet.on(n))
                    for n in range(1, NODES + 1)
                ]
                fleet.all_know(within_s=60.0)
                races = Races(fleet, nodes, SIZE_BYTES, origin.at, origin.api)
                races.measure()
                yield races
        finally:
            runner.run(opening.__aexit__(None, None, None))


def test_a_flood_of_datagrams_costs_little(races: Races) -> None:
    fleet = races.fleet
    assert isinstance(fleet, Machines)
    artifact = races.stage().id
    addresses = [process.at for process in fleet.machines.values()]
    flooder = fleet.bench.hosts[NODES + 1]
    before = fleet.bench.counters()[flooder.port][0]
    flood = subprocess.Popen(
        [*fleet.bench.wrapping(flooder), sys.executable, "-m", "tests.faults.flood", *addresses],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        began_s = time.monotonic()
        took_s = races.finish(artifact, races.publish(artifact))
        assert flood.poll() is None
        sent = fleet.bench.counters()[flooder.port][0] - before
        flooded_bytes_per_s = sent / (time.monotonic() - began_s)
    finally:
        flood.kill()
        flood.wait()
    dropped = sum(m.api.metric("strew_datagrams_dropped_total") for m in races.machines)
    print(
        f"flooded with {flooded_bytes_per_s / 1e6:.1f} MB/s in all, "
        f"{dropped:.0f} datagrams looked at and dropped"
    )
    assert flooded_bytes_per_s > RATE_BYTES_PER_S / 2 and dropped > 1000
    assert races.told("a flood of datagrams", took_s, PROMISE_B) <= PROMISE_B
    races.no_tracebacks()
