"""A 1-byte artifact through idle nodes: from published to in place on all of them."""

import time
from collections.abc import Iterator

from bench.figures import Figure
from bench.fleet import Fleet
from bench.processes import Processes
from bench.scratch import Bench

CASE = "tiny"
NODES = 4
SAMPLES = 7
PAUSE_S = 1.0
"""Between two, so that nodes are idle again and within their allowance of announces."""


def run(bench: Bench) -> Iterator[Figure]:
    first_ms, last_ms = [], []
    with bench.scratch(0) as folder, Processes(folder) as processes:
        fleet = Fleet(processes, folder)
        nodes = [fleet.node("tiny") for _ in range(NODES)]
        for number in range(SAMPLES):
            bench.say(f"{CASE}: {number + 1} of {SAMPLES}")
            path = folder / f"tiny-{number}"
            path.write_bytes(bytes([number]))
            artifact = fleet.push(path, "source")
            time.sleep(PAUSE_S)
            asked_s = fleet.publish(artifact, f"tiny:{number}")
            took_ms = [1000 * (node.delivered(asked_s).placed_s - asked_s) for node in nodes]
            first_ms.append(min(took_ms))
            last_ms.append(max(took_ms))
    yield Figure(
        case=CASE,
        what=f"published to in place on the first of {NODES}",
        unit="ms",
        samples=tuple(first_ms),
    )
    yield Figure(
        case=CASE,
        what=f"published to in place on all {NODES}",
        unit="ms",
        samples=tuple(last_ms),
        mark=100,
        note="counted from before the tracker is asked to publish; file times tick every 4 ms",
    )
