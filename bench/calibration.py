"""Whether the simulator tells the truth: `python -m bench.calibration`, as root.

Nothing else should run on the machine. Runs the laboratory's cases over shaped links and in the
simulator, and prints both beside each other. The simulator is told what the lab's links carry and
how many chunks the file has, and nothing that was measured. Chunks of the lab differ in length as
the cuts fall; those of the simulator by its own dice.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass
from statistics import median

from strew.cli.output import table
from strew.lab.contenders import CONTENDERS
from strew.lab.result import LabResult
from strew.lab.run import TOOLS, lab_source, measured, require
from strew.lab.terms import Late, Slow, Terms, goodput
from strew.sim import fleet as sim

MIB = 1 << 20
MBIT = 125_000

LATENCY_S = 0.00005
"""From namespace to namespace through a bridge, one way (measured with ping on idle links)."""

TOLERANCE = 0.05
"""How far a prediction may be off."""


@dataclass(frozen=True, slots=True)
class Case:
    """`mark` is that of last / (F/B), of the quick or early machines where kinds differ."""

    name: str
    terms: Terms
    mark: float
    kind: str = ""


CASES = (
    Case("8 x 100 Mbit/s, 128 MiB", Terms(nodes=8, rate_bytes_per_s=100 * MBIT), 1.04),
    Case("16 x 50 Mbit/s, 128 MiB", Terms(nodes=16, rate_bytes_per_s=50 * MBIT), 1.05),
    Case(
        "32 x 25 Mbit/s, 128 MiB, 24 neighbours",
        Terms(nodes=32, rate_bytes_per_s=25 * MBIT, neighbours=24),
        1.08,
    ),
    Case(
        "16 x 50 Mbit/s, 512 MiB",
        Terms(nodes=16, rate_bytes_per_s=50 * MBIT, size_bytes=512 * MIB),
        1.03,
    ),
    Case(
        "8 x 100 Mbit/s, 2 of them 25 Mbit/s",
        Terms(nodes=8, rate_bytes_per_s=100 * MBIT, slow=Slow(0.25, 25 * MBIT)),
        1.12,
        "fast",
    ),
    Case(
        "8 x 100 Mbit/s, 4 of them 4 s late",
        Terms(nodes=8, rate_bytes_per_s=100 * MBIT, late=Late(0.5, 4.0)),
        1.08,
        "late",
    ),
)


def predicted(terms: Terms, chunks: int, seed: int) -> list[float]:
    """Seconds of each machine, by number, from the publication or from its own later start."""
    assert terms.rate_bytes_per_s is not None
    machines = []
    for number in range(1, terms.nodes + 1):
        ratio = (terms.rate_of(number) or 0) / terms.rate_bytes_per_s
        starts_s = terms.late_s_of(number)
        machines.append(sim.Machine(up_ratio=ratio, down_ratio=ratio, starts_s=starts_s))
    neighbours = terms.neighbours or sim.Terms.neighbours
    simulated = sim.Terms(
        nodes=terms.nodes,
        size_bytes=terms.size_bytes,
        chunks=chunks,
        rate_bytes_per_s=goodput(terms.rate_bytes_per_s),
        latency_s=LATENCY_S,
        seed=seed,
        neighbours=neighbours,
    )
    fleet = sim.Fleet(simulated, machines)
    fleet.spread()
    done_s = [peer.done_s for peer in fleet.peers]
    return [
        at_s - machine.starts_s
        for at_s, machine in zip(done_s, machines, strict=True)
        if at_s is not None
    ]


def judged(case: Case) -> range:
    """The numbers of the machines whose last one counts."""
    terms = case.terms
    if case.kind == "fast":
        return range(1, terms.slow_numbers.start)
    if case.kind == "late":
        return terms.late_numbers
    return range(1, terms.nodes + 1)


def measured_s(case: Case, result: LabResult) -> float:
    """The last of those that count, in the lab."""
    if case.kind:
        return next(each.seconds_last for each in result.classes if each.kind == case.kind)
    return result.seconds_last


async def compare(case: Case, rounds: int) -> tuple[str, ...]:
    """One row of the table."""
    async with lab_source(case.terms) as source:
        results = [
            await measured(CONTENDERS["strew"], number, case.terms, source)
            for number in range(1, rounds + 1)
        ]
    lab_s = [measured_s(case, result) for result in results]
    sim_s = [
        max(predicted(case.terms, results[0].chunks, seed)[number - 1] for number in judged(case))
        for seed in range(1, rounds + 1)
    ]
    line_s = case.terms.size_bytes / goodput(case.terms.rate_bytes_per_s or 1)
    slow = next((each for each in results[0].classes if each.kind == "slow"), None)
    ratios = [seconds / line_s for seconds in lab_s]
    return (
        case.name + (f": {case.kind}" if case.kind else ""),
        f"{median(ratios):.3f}",
        f"{min(ratios):.3f} to {max(ratios):.3f}",
        f"{case.mark:.2f}",
        f"{median(sim_s) / line_s:.3f}",
        f"{median(sim_s) / median(lab_s):.3f}",
        f"{max(result.origin_sent_ratio for result in results):.3f}",
        "-" if slow is None else f"{max(_slow_ratio(result) for result in results):.3f}",
        f"{median(result.cpu_s_per_gib for result in results):.1f}",
    )


def _slow_ratio(result: LabResult) -> float:
    slow = next(each for each in result.classes if each.kind == "slow")
    return slow.ratio_to_line or 0.0


HEAD = (
    "case",
    "lab, last / (F/B)",
    "low to high",
    "mark",
    "sim",
    "sim / lab",
    "origin sent",
    "slow ones",
    "CPU s/GiB",
)


def main() -> int:
    parser = argparse.ArgumentParser(description="the simulator beside the laboratory")
    parser.add_argument("--rounds", type=int, default=3)
    numbers = range(1, len(CASES) + 1)
    parser.add_argument(
        "--cases", type=int, nargs="+", choices=numbers, default=numbers, help="which (all)"
    )
    options = parser.parse_args()
    require(TOOLS)
    chosen = [CASES[number - 1] for number in options.cases]
    rows = [HEAD]
    for case in chosen:
        rows.append(asyncio.run(compare(case, options.rounds)))
        print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    for line in table(rows, right=frozenset(range(1, len(HEAD)))):
        print(line)
    off = max(abs(float(row[5]) - 1.0) for row in rows[1:])
    print(f"the prediction is off by {100 * off:.1f} % at most")
    return 0 if off <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
