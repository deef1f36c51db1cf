"""`strew lab` from outside."""

import os
import signal
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from strew.cli.main import EXIT_INTERRUPTED, EXIT_USAGE, main
from tests.cli.processes import Done, Running, environment, until
from tests.lab.root import left_of, needs_root, processes_below

EXIT_DENIED = 6

PATIENCE_S = 50.0
"""A run starts some processes, each of half a second of one core."""

SMALL = ["--nodes", "2", "--size", "1M"]


def home(folder: Path) -> dict[str, str]:
    return environment(folder, TMPDIR=str(folder))


@needs_root
def test_a_run_is_told_and_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "out.svg"
    words = ["--repeat", "2", "--slow", "0.5:8mbit", "--rate", "16Mbit"]
    words += ["--plot", str(picture), "--strips", str(tmp_path / "strips.svg")]
    lab = Running("lab", *SMALL, *words, env=home(tmp_path), cwd=tmp_path)
    first, second = lab.event("result", within_s=PATIENCE_S)["runs"]
    assert lab.process.wait(PATIENCE_S) == lab.stop() == 0
    assert [event["type"] for event in lab.events] == ["run", "run", "result"]
    assert (first["round"], second["round"]) == (1, 2)
    for result in (first, second):
        assert (result["strategy"], result["verified"], result["nodes"]) == ("strew", 2, 2)
        assert result["rate_bytes_per_s"] == 2_000_000
        assert [kind["kind"] for kind in result["classes"]] == ["fast", "slow"]
    strips = ElementTree.parse(tmp_path / "strips.svg").getroot()
    assert {"node 2 up", "node 2 down"} <= {text.text for text in strips.iter()}
    ElementTree.parse(picture)
    assert {path.name for path in tmp_path.iterdir()} == {"out.svg", "strips.svg"}


@needs_root
@pytest.mark.parametrize(
    ("number", "begun"), [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGINT, False)]
)
def test_an_interrupted_lab_leaves_nothing(
    tmp_path: Path, number: signal.Signals, begun: bool
) -> None:
    lab = running(tmp_path)
    if begun:
        # three processes, each of which names its folder
        until(lambda: len(processes_below(tmp_path)) >= 3, "the machines' processes")
        assert left_of(lab.process.pid)
    assert lab.stop(number) == EXIT_INTERRUPTED
    assert lab.events[-1]["code"] == "interrupted"
    assert not left_of(lab.process.pid)
    assert not processes_below(tmp_path)
    assert not list(tmp_path.iterdir())


@needs_root
def test_the_next_lab_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    lab = running(tmp_path)
    until(lambda: len(processes_below(tmp_path)) >= 3, "the machines' processes")
    lab.kill()
    assert processes_below(tmp_path)
    another = Running("lab", *SMALL, "--unshaped", env=home(tmp_path), cwd=tmp_path)
    another.event("result", within_s=PATIENCE_S)
    assert another.process.wait(PATIENCE_S) == another.stop() == 0
    assert not left_of(lab.process.pid)
    assert not processes_below(tmp_path)
    assert not list(tmp_path.iterdir())


def running(folder: Path) -> Running:
    """A lab that would take a minute, at its first run."""
    words = ["lab", "--nodes", "2", "--size", "8M", "--rate", "1Mbit"]
    lab = Running(*words, env=home(folder), cwd=folder)
    lab.event("run")
    return lab


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root's rights")
def test_without_root_it_is_refused(tmp_path: Path) -> None:
    done = as_nobody("lab", "--json", folder=tmp_path)
    assert done.code == EXIT_DENIED
    assert done.final["code"] == "denied"
    assert "only root may" in done.final["message"]


def as_nobody(*words: str, folder: Path) -> Done:
    """In this process's stead one without rights: the caller's user id is what is looked at."""
    script = "import os, sys; os.seteuid(65534); from strew.cli.main import main; sys.exit(main())"
    # imported first, as whoever has no rights may not read this checkout
    script = f"import strew.cli.lab; {script}"
    process = subprocess.run(
        [os.sys.executable, "-c", script, *words],
        capture_output=True,
        text=True,
        timeout=20,
        env=home(folder),
        cwd=folder,
        check=False,
    )
    return Done(process.returncode, process.stdout, process.stderr)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--nodes", "0"], "0 nodes: from 1 to 64 can be had"),
        (["--size", "1X"], "--size: '1X': 'X' is no unit of a size"),
        (["--rate", "0"], "--rate: '0': nothing would ever move"),
        (["--rate", "8Mbit", "--unshaped"], "--unshaped and --rate: one of them"),
        (["--slow", "0.5"], "--slow: '0.5': two values with ':' between"),
        (["--slow", "x:1M"], "--slow: 'x': not a number"),
        (["--slow", "0.5:unlimited"], "a slow link has a rate"),
        (["--late", "2:4"], "a share of 2 of the nodes"),
        (["--kill", "x@2"], "--kill: 'x': a node goes by its number"),
        (["--repeat", "0"], "--repeat 0: from 1 to 100"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", *words]) == EXIT_USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert complaint in said.err
    assert said.err.count("\n") == 1


@needs_root
def test_an_unknown_contender_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "--contender", "strow"]) == EXIT_USAGE
    assert "nobody is called 'strow' (did you mean 'strew'?)" in capsys.readouterr().err
