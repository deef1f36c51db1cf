"""What a CPU second does when many processes share few cores: `python -m bench.cold_caches`.

Processes walk through objects of their own for some seconds, as many as said at once; printed is
the work each did in a second of its CPU time, over that of one alone. What is less is caches that
the others have filled.
"""

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import fmean

COUNTS = (1, 2, 8, 32)
OBJECTS = (200, 20_000)
"""Some 60 kB, and some 6 MB."""

WALK_STEPS = 5_000


def walk(objects: int, seconds: float) -> float:
    """Walks done in a second of CPU time, each of so many steps to random objects."""
    dice = random.Random(1)
    found = [(number, dict[int, int]()) for number in range(objects)]
    steps = [dice.randrange(objects) for _ in range(WALK_STEPS)]
    walks, until_s, began_s = 0, time.monotonic() + seconds, time.process_time()
    while time.monotonic() < until_s:
        for step in steps:
            number, touched = found[step]
            touched[step & 7] = number + 1
        walks += 1
    return walks / (time.process_time() - began_s)


def side_by_side(processes: int, objects: int, seconds: float) -> float:
    """The mean of so many processes at once."""
    command = [sys.executable, "-m", "bench.cold_caches", "--walk", str(objects), str(seconds)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    return fmean(float(each.communicate()[0]) for each in running)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--walk", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.walk is not None:
        print(walk(int(asked.walk[0]), float(asked.walk[1])))
        return
    print(f"{'objects':>8}" + "".join(f"{count:>10}" for count in COUNTS) + "  processes")
    for objects in OBJECTS:
        rates = [side_by_side(count, objects, asked.seconds) for count in COUNTS]
        print(f"{objects:8}" + "".join(f"{rate / rates[0]:10.2f}" for rate in rates), flush=True)


if __name__ == "__main__":
    main()
