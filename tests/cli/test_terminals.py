"""`status --watch` on terminals of 80 and 120 columns, in a log, and while a tracker is away."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from strew.cli.painting import columns_of
from tests.cli.crowds import NODES, REFERENCE, Crowd
from tests.cli.processes import until
from tests.cli.terminals import OnTerminal


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    of = Crowd(tmp_path_factory.mktemp("crowd"))
    yield of
    of.stop()


@pytest.mark.parametrize("columns", [80, 120])
def test_a_transfer_is_drawn_in_place_until_it_is_over(crowd: Crowd, columns: int) -> None:
    watching = OnTerminal(
        *("status", REFERENCE, "--watch"), env=crowd.env, cwd=crowd.folder, columns=columns
    )
    try:
        until(lambda: "done" in "".join(watching.screen[1:2]), "the end of the bar")
    finally:
        code = watching.stop()
    screen = watching.screen
    assert code == 130
    assert screen[0].startswith(f"{REFERENCE}  57.2 MiB in 60 chunks, to {NODES} machines")
    assert screen[2].startswith(f"{NODES} done")
    assert all(columns_of(line) < columns for line in screen[:-2]), screen
    assert any(line.startswith("rack1 ") for line in screen)
    frames = watching.written.count(f"{REFERENCE}\x1b[0m  57.2 MiB")
    assert frames >= 2 or columns == 120  # the first of them saw it grow
    assert sum(REFERENCE in line for line in screen) == 1, "frames were left standing"


def test_no_color_draws_in_place_without_colours(crowd: Crowd) -> None:
    env = crowd.env | {"NO_COLOR": "1"}
    watching = OnTerminal("status", REFERENCE, "--watch", env=env, cwd=crowd.folder)
    try:
        until(lambda: len(watching.screen) > 5, "a block of lines")
    finally:
        watching.stop()
    assert "\x1b[K" in watching.written and "m" not in _codes(watching.written)


def _codes(text: str) -> set[str]:
    """The last letters of the escape codes in a text."""
    return {piece.lstrip("[0123456789;?")[:1] for piece in text.split("\x1b")[1:]}


def test_a_log_gets_a_line_at_once_and_no_codes(crowd: Crowd) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "strew", "status", REFERENCE, "--watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=crowd.env,
        cwd=crowd.folder,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    process.terminate()
    _, complaints = process.communicate(timeout=20)
    assert line.startswith(f"{REFERENCE}  ") and f" of {NODES} nodes  " in line
    assert "\x1b" not in line and "origin" in line
    assert complaints.count("\n") == 1 and process.returncode == 130


def test_the_overview_on_a_terminal_lists_nodes_and_transfers(crowd: Crowd) -> None:
    watching = OnTerminal("status", "--watch", env=crowd.env, cwd=crowd.folder, lines=60)
    try:
        until(lambda: any("TRANSFER" in line for line in watching.screen), "the transfers")
        until(lambda: "\x1b[" in watching.written, "a second look")
    finally:
        watching.stop()
    assert sum(line.startswith("NODE ") for line in watching.screen) == 1
    assert any(line.startswith(REFERENCE) for line in watching.screen)


def test_top_needs_a_terminal_and_its_extra(crowd: Crowd, tmp_path: Path) -> None:
    piped = subprocess.run(
        [sys.executable, "-m", "strew", "top"],
        capture_output=True,
        text=True,
        env=crowd.env,
        check=False,
    )
    assert (piped.returncode, piped.stdout) == (2, "")
    assert "'strew top' needs a terminal" in piped.stderr and piped.stderr.count("\n") == 1
    (tmp_path / "textual.py").write_text("raise ModuleNotFoundError('none', name='textual')\n")
    env = crowd.env | {"PYTHONPATH": f"{tmp_path}:{crowd.env['PYTHONPATH']}"}
    without = OnTerminal("top", env=env, cwd=crowd.folder, columns=200)
    until(lambda: without.process.poll() is not None, "its end")
    assert without.stop() == 9
    assert "strew: 'strew top' needs textual" in without.written
    assert "pip install 'strew[top]'" in without.written


def test_top_shows_the_transfer_and_ends_with_q(crowd: Crowd) -> None:
    page = OnTerminal("top", REFERENCE, env=crowd.env, cwd=crowd.folder, columns=100, lines=40)
    try:
        until(lambda: f"{NODES + 1} MACHINES" in page.written, "the machines")
        page.type("q")
        until(lambda: page.process.poll() is not None, "its end")
    finally:
        code = page.stop()
    assert code == 0
