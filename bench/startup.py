"""How long a person waits for `strew --help`."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.figures import Figure
from bench.processes import Processes
from bench.scratch import Bench

CASE = "startup"
SAMPLES = 10


def run(bench: Bench) -> Iterator[Figure]:
    bench.say(CASE)
    script = Path(sys.executable).with_name("strew")
    strew = [str(script)] if script.exists() else [sys.executable, "-m", "strew"]
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "strew --version": [*strew, "--version"],
        "strew --help": [*strew, "--help"],
    }
    times_ms: dict[str, list[float]] = {name: [] for name in commands}
    with bench.scratch(0) as folder, Processes(folder) as processes:
        for number in range(SAMPLES + 1):
            for name, command in commands.items():
                started_s = time.perf_counter()
                subprocess.run(
                    command, check=True, stdout=subprocess.DEVNULL, env=processes.environment
                )
                if number:  # the first compiles what is imported
                    times_ms[name].append(1000 * (time.perf_counter() - started_s))
    bare = median(times_ms.pop("python -c pass"))
    for name, samples in times_ms.items():
        yield Figure(case=CASE, what=name, unit="ms", samples=tuple(samples), floor=bare)
