"""`python -m fuzz [TARGET ...] [--seconds N] [--keep]`: fuzz each target for a while with atheris.

Each target runs in a process of its own, over its kept corpus (fuzz/corpus) and the seeds. What is
new and interesting goes to build/fuzz, and with --keep, made small again, into the corpus. An input
that breaks a target is written to build/fuzz as well, named at the end, and the exit code is 1;
put it into the corpus with the mend, where `make test` runs it for ever after.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from fuzz.seeds import seeds
from fuzz.targets import TARGETS

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
WORK = HERE.parent / "build/fuzz"

SECONDS = 60
"""For each target, unless another time is given."""

KEPT_BYTES_MAX = 1024
"""Longest input that is kept: the corpus is part of the repository."""

KEPT_MAX = 24
"""Inputs kept of each target, the shortest: the rest is found again in seconds."""


def main() -> int:
    """Fuzz; 0 if nothing broke."""
    asked = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    asked.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    asked.add_argument("--seconds", type=int, default=SECONDS, help="for each target")
    asked.add_argument("--keep", action="store_true", help="put what is new into the corpus")
    words = asked.parse_args()
    if unknown := set(words.targets) - TARGETS.keys():
        asked.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    names = words.targets or list(TARGETS)
    broken = [name for name in names if not _fuzzed(name, words.seconds)]
    if words.keep:
        for name in names:
            _keep(name)
    for name in broken:
        print(f"{name}: broken by {', '.join(map(str, sorted(WORK.glob(f'{name}-*'))))}")
    return 1 if broken else 0


def kept(name: str) -> list[Path]:
    """The kept inputs of a target."""
    return sorted((CORPUS / name).iterdir())


def _fuzzed(name: str, seconds: int) -> bool:
    """Fuzz one target in a process of its own; False if it broke."""
    work = WORK / name
    work.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()[name]):
        (work / f"seed-{number}").write_bytes(seed)
    limits = (f"-max_total_time={seconds}", f"-artifact_prefix={WORK}/{name}-")
    ended = _run(name, *limits, str(work), str(CORPUS / name))
    told = ended.stderr.splitlines()
    runs = next((line for line in told if line.startswith("Done ")), "did not end")
    print(f"{name}: {runs}", flush=True)
    if ended.returncode != 0:
        print(*(ended.stdout.splitlines() + told)[-40:], sep="\n", flush=True)
    return ended.returncode == 0


def _run(name: str, *flags: str) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, "-m", "fuzz.inside", name, *flags)
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=HERE.parent)


def _keep(name: str) -> None:
    """Put the smallest set of inputs that reaches as much into the corpus."""
    merged = _run(name, "-merge=1", str(CORPUS / name), str(WORK / name))
    if merged.returncode != 0:
        print(f"{name}: not merged:", *merged.stderr.splitlines()[-5:], sep="\n")
    for number, path in enumerate(sorted(kept(name), key=lambda path: path.stat().st_size)):
        if number >= KEPT_MAX or path.stat().st_size > KEPT_BYTES_MAX:
            path.unlink()


if __name__ == "__main__":
    sys.exit(main())
