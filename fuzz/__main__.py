"""`python -m fuzz [TARGET ...] [--seconds N] [--keep]`: fuzz each target for a while with atheris.

Each target runs in a process of its own, over its kept corpus (fuzz/corpus) and the seeds. What is
new and interesting goes to build/fuzz, and with --keep some of it into the corpus. An input that
breaks a target is written to build/fuzz as well, named at the end, and the exit code is 1; put it
into the corpus with the mend, under a name that says what it is: `make test` runs it from then on.
"""

import argparse
import hashlib
import shutil
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
"""Inputs kept of each target: more are found again in seconds."""


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
    words = (sys.executable, "-m", "fuzz.inside", name, *limits, str(work), str(CORPUS / name))
    ended = subprocess.run(words, capture_output=True, text=True, check=False, cwd=HERE.parent)
    told = ended.stderr.splitlines()
    runs = next((line for line in told if line.startswith("Done ")), "did not end")
    print(f"{name}: {runs}", flush=True)
    if ended.returncode != 0:
        print(*(ended.stdout.splitlines() + told)[-40:], sep="\n", flush=True)
    return ended.returncode == 0


def _keep(name: str) -> None:
    """Fill the corpus with some of what reached new places, of all lengths; what was put there by
    hand, under a name of its own, stays."""
    found = [path for path in (WORK / name).iterdir() if _is_found(path)]
    small = sorted((path for path in found if path.stat().st_size <= KEPT_BYTES_MAX), key=_length)
    for path in filter(_is_found, kept(name)):
        path.unlink()
    room = KEPT_MAX - len(kept(name))
    step = max(1, -(-len(small) // room))
    for path in small[::step][:room]:
        shutil.copyfile(path, CORPUS / name / path.name)


def _is_found(path: Path) -> bool:
    """Whether it has a name as the fuzzer gives it: the SHA-1 of what is in it."""
    return path.name == hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


def _length(path: Path) -> tuple[int, str]:
    return path.stat().st_size, path.name


if __name__ == "__main__":
    sys.exit(main())
