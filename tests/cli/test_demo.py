"""`strew demo` from outside."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import strew
from strew.cli.main import EXIT_INTERRUPTED, EXIT_USAGE, main

FIELDS = {
    "strategy",
    "nodes",
    "size_bytes",
    "chunks",
    "rate_bytes_per_s",
    "seconds_last",
    "seconds_median",
    "seconds_first",
    "line_seconds",
    "bound_seconds",
    "ratio_to_line",
    "ratio_to_bound",
    "origin_sent_ratio",
    "duplicate_ratio",
    "verified",
    "cpu_s_per_gib",
    "rss_peak_bytes",
}
"""What other programs read: a change here is a breaking one."""


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """`strew demo ...` with its temporary files in `folder`."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("STREW_")}
    code = str(Path(strew.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-m", "strew", "demo", *arguments],
        env={**own, "PYTHONPATH": code, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def processes_below(folder: Path) -> list[str]:
    """Command lines of processes that were given a place in `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_text() if entry.name.isdigit() else ""
        except OSError:
            continue  # it ended meanwhile
        if str(folder) in words:
            found.append(words)
    return found


def test_all_ways_one_after_the_other(tmp_path: Path) -> None:
    words = ["--strategy", "all", "--nodes", "2", "--size", "1M", "--rate", "unlimited"]
    process = started(tmp_path, *words, "--json")
    said, complaints = process.communicate(timeout=50)
    assert (process.returncode, complaints) == (0, "")
    result = events(said)[-1]
    assert result["type"] == "result"
    runs = result["runs"]
    assert [run["strategy"] for run in runs] == [
        "single",
        "replicated",
        "sharded",
        "scatter",
        "swarm",
    ]
    for run in runs:
        assert set(run) == FIELDS
        assert (run["nodes"], run["verified"], run["size_bytes"]) == (2, 2, 1 << 20)
        assert run["rate_bytes_per_s"] is run["bound_seconds"] is run["ratio_to_bound"] is None
        assert 0 < run["seconds_first"] <= run["seconds_median"] <= run["seconds_last"]
    sent = {run["strategy"]: run["origin_sent_ratio"] for run in runs}
    assert sent["single"] == pytest.approx(2.0)
    assert sent["sharded"] == pytest.approx(1.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "moment"), [(signal.SIGTERM, "strategy"), (signal.SIGINT, "progress")]
)
def test_an_interrupted_demo_leaves_nothing(
    tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    words = ["--strategy", "single", "--nodes", "1", "--size", "8M", "--rate", "1M", "--json"]
    process = started(tmp_path, *words)
    assert process.stdout is not None
    while json.loads(process.stdout.readline())["type"] != moment:
        pass
    if moment == "progress":
        assert len(processes_below(tmp_path)) >= 2
    process.send_signal(number)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == EXIT_INTERRUPTED
    assert events(said)[-1]["code"] == "interrupted"
    assert not processes_below(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_fleet_that_stays_can_be_looked_at_and_ends_when_told_to(tmp_path: Path) -> None:
    words = ["--nodes", "1", "--size", "1M", "--rate", "unlimited", "--stay", "--json"]
    process = started(tmp_path, *words)
    assert process.stdout is not None
    said: dict[str, dict[str, Any]] = {}
    while "staying" not in said:
        event = json.loads(process.stdout.readline())
        said[event["type"]] = event
    page, token = said["fleet"]["dashboard"].split("#token=")
    request = urllib.request.Request(
        f"{page}api/v1/nodes", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert len(json.load(answer)) == 2
    at = said["fleet"]["STREW_AT"]
    assert page == f"http://{at}/" and said["fleet"]["STREW_JOIN"] == at
    assert len(said["fleet"]["STREW_FLEET_KEY"]) == 64
    process.send_signal(signal.SIGINT)
    rest, complaints = process.communicate(timeout=20)
    assert (process.returncode, complaints) == (0, "")
    (result,) = events(rest)
    assert set(result) == FIELDS | {"type"}
    assert set(said["staying"]) > FIELDS
    assert not processes_below(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--nodes", "0"], "0 nodes: from 1 to 64 can be had"),
        (["--size", "12"], "a file of 12 bytes: from 1M to 64G can be had"),
        (["--size", "1X"], "--size: '1X': 'X' is no unit of a size"),
        (["--rate", "0"], "--rate: '0': nothing would ever move"),
        (["--stay", "--strategy", "all"], "--stay keeps one fleet, and 'all' makes five"),
        (["--strategy", "fastest"], 'Invalid value "fastest" for --strategy'),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", *words]) == EXIT_USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert complaint in said.err
    assert said.err.count("\n") == 1
