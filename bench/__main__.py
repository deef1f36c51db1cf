"""`python -m bench`: run cases, print what was measured on what, and a table at the end."""

import argparse
import json
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from bench import (
    chunk_hop,
    floor,
    memory,
    one_to_many,
    one_to_one,
    rivals,
    scripts,
    secured,
    startup,
    tiny,
)
from bench.figures import Figure, surroundings, table
from bench.processes import Ended
from bench.scratch import Bench, NoRoomError
from strew.agent.quantity import parse_size
from strew.errors import UsageError

CASES: dict[str, Callable[[Bench], Iterable[Figure]]] = {
    "startup": startup.run,
    "floor": floor.run,
    "one_to_one": one_to_one.run,
    "rivals": rivals.run,
    "secured": secured.run,
    "one_to_many": one_to_many.run,
    "tiny": tiny.run,
    "memory": memory.run,
    "ingest": scripts.ingest,
    "announce": scripts.announce,
    "attacks": scripts.attacks,
    "chunk_hop": chunk_hop.run,
}


def main() -> int:
    options = parse()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    facts = surroundings() | {"command": shlex.join(["python", "-m", "bench", *sys.argv[1:]])}
    if options.json:
        print(json.dumps({"type": "surroundings", **facts}), flush=True)
    else:
        for name, value in facts.items():
            print(f"{name:9} {value}")
    bench = Bench(
        folder=options.folder,
        size_bytes=options.size,
        rounds=options.rounds,
        large=options.large,
    )
    figures: list[Figure] = []
    failed: dict[str, str] = {}
    started_s = time.monotonic()
    with closing(bench):
        for name in options.case or CASES:
            try:
                for figure in CASES[name](bench):
                    figures.append(figure)
                    if options.json:
                        print(json.dumps(figure.facts()), flush=True)
            except (Ended, NoRoomError) as error:
                failed[name] = str(error)
    seconds = time.monotonic() - started_s
    if options.json:
        print(json.dumps({"type": "result", "seconds": seconds, "failed": failed}))
    else:
        print(f"{'took':9} {seconds:.0f} s\n")
        for line in table(figures):
            print(line)
    for name, reason in failed.items():
        print(f"bench: {name}: {reason}", file=sys.stderr)
    return 1 if failed else 0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure strew on this machine. Nothing else should run meanwhile.",
        epilog=f"cases: {', '.join(CASES)}",
    )
    parser.add_argument("case", nargs="*", help="which to run (default: all)")
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--large", action="store_true", help="memory: artifacts of 4 and 20 GiB")
    parser.add_argument("--size", type=_size, default="1GiB", help="of the file (default: 1GiB)")
    parser.add_argument("--rounds", type=int, default=3, help="samples of each (default: 3)")
    parser.add_argument(
        "--folder", type=Path, help="where to work; on a tmpfs the disk does not count"
    )
    options = parser.parse_args()
    for name in options.case:
        if name not in CASES:
            parser.error(f"no case {name!r}: {', '.join(CASES)}")
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def _size(text: str) -> int:
    try:
        return int(parse_size(text))
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
