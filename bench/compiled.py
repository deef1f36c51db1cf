"""Compile the pure cores and the simulator's inner rooms with mypyc: `python -m bench.compiled`.

Makes `build/compiled`, a copy of the package in which the modules below stand as extension modules
beside their source (Python takes these first). With that folder on PYTHONPATH everything runs as
before, the decisions of a swarm in half the time: that is what large simulations are run with. The
product never needs it, and the source is plain Python.

mypyc comes with mypy; a C compiler and Python's headers must be there (Debian: gcc, python3-dev).
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

ROOMS = (
    "content/bitfield.py",
    "swarm/*.py",
    "node/*.py",
    "sim/world.py",
    "sim/network.py",
    "sim/peers.py",
)
"""What runs on every chunk. Message types stay as they are: msgspec is compiled already."""


def compile_rooms(folder: Path) -> list[Path]:
    """Make the folder anew; returns the extension modules in it. OSError or CalledProcessError
    with the compiler's words if it cannot be done."""
    shutil.rmtree(folder, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src" / "strew", folder / "strew", ignore=ignored)
    modules = sorted(
        path.relative_to(folder)
        for room in ROOMS
        for path in (folder / "strew").glob(room)
        if path.stat().st_size > 200  # a package's one line is nothing to compile
    )
    command = [sys.executable, "-c", "from mypyc.__main__ import main; main()"]
    environment = os.environ | {"MYPYPATH": str(folder), "MYPYC_DEBUG_LEVEL": "0"}
    subprocess.run(
        [*command, "--config-file", os.devnull, *map(str, modules)],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    shutil.rmtree(folder / "build")
    shutil.rmtree(folder / ".mypy_cache", ignore_errors=True)
    return sorted((folder / "strew").glob("*/*.so"))


def main() -> int:
    parser = argparse.ArgumentParser(description="compile the cores with mypyc")
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "compiled")
    folder = parser.parse_args().into.absolute()
    try:
        modules = compile_rooms(folder)
    except subprocess.CalledProcessError as error:
        print(error.stdout[-4000:] + error.stderr[-4000:], file=sys.stderr)
        print("mypyc failed; gcc and Python's headers are needed", file=sys.stderr)
        return 1
    print(f"{len(modules)} modules compiled; use them with PYTHONPATH={folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
