"""`strew sim` from outside."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from strew.cli.main import EXIT_INTERRUPTED, EXIT_USAGE, main
from tests.cli.processes import Done, Running, call, environment

EXIT_DEADLINE = 10

SMALL = ("sim", "--nodes", "12", "--size", "30MB", "--chunks", "30")

FIELDS = {
    "strategy": "swarm",
    "scenario": "flash",
    "seed": 1,
    "nodes": 12,
    "size_bytes": 30_000_000,
    "chunks": 30,
    "rate_bytes_per_s": 125_000_000,
    "verified": 12,
}

NUMBERS = (
    "seconds_last",
    "seconds_median",
    "seconds_first",
    "seconds_p99",
    "seconds_p999",
    "line_seconds",
    "bound_seconds",
    "ratio_to_line",
    "ratio_to_bound",
    "origin_sent_ratio",
    "duplicate_ratio",
    "wall_seconds",
)


def sim(folder: Path, *words: str) -> Done:
    return call(*SMALL, *words, env=environment(folder), cwd=folder)


def test_the_result_object(tmp_path: Path) -> None:
    done = sim(tmp_path, "--json")
    result = done.final
    assert done.code == 0
    assert result["type"] == "result"
    assert {name: result[name] for name in FIELDS} == FIELDS
    assert all(isinstance(result[name], float) for name in NUMBERS)
    assert len(result["trace_digest"]) == 32
    assert result["line_seconds"] == pytest.approx(0.24)
    assert result["ratio_to_bound"] == pytest.approx(
        result["seconds_last"] / result["bound_seconds"]
    )


def test_seed_and_every_option_come_first_and_the_digest_last(tmp_path: Path) -> None:
    done = sim(tmp_path, "--seed", "7")
    lines = done.out.splitlines()
    assert lines[0] == "seed 7"
    assert lines[1].split()[:4] == ["strew", "sim", "--seed", "7"]
    # the printed line takes the same course
    again = call(*lines[1].split()[1:], env=environment(tmp_path), cwd=tmp_path)
    assert again.out.splitlines()[-1] == lines[-1]
    assert lines[-1].startswith("trace digest")
    assert lines[-1] != sim(tmp_path, "--seed", "8").out.splitlines()[-1]
    options = sim(tmp_path, "--seed", "7", "--json").events[0]
    assert (options["type"], options["seed"], options["command"]) == ("options", 7, lines[1])


def test_the_printed_line_says_that_they_gossip(tmp_path: Path) -> None:
    lines = sim(tmp_path, "--gossip").out.splitlines()
    assert lines[1].endswith(" --gossip")
    again = call(*lines[1].split()[1:], "--json", env=environment(tmp_path), cwd=tmp_path).final
    assert lines[-1].endswith(again["trace_digest"])
    assert (again["gossip"], again["trackerless"]) == (True, False)


def test_all_strategies_are_compared_and_drawn(tmp_path: Path) -> None:
    done = sim(tmp_path, "--strategy", "all", "--plot", "out.svg", "--json")
    runs: list[dict[str, Any]] = done.final["runs"]
    assert [run["strategy"] for run in runs][:3] == ["swarm", "single", "replicated"]
    assert len(runs) == 10
    assert {run["verified"] for run in runs} == {12}
    ElementTree.parse(tmp_path / "out.svg")


def test_all_scenarios_of_which_the_other_ways_know_three(tmp_path: Path) -> None:
    done = sim(tmp_path, "--scenario", "all", "--strategy", "chain")
    assert done.code == 0
    assert "not simulated in staggered, die10, origin-dies" in done.err
    assert [line.split()[2] for line in done.out.splitlines()[-3:]] == [
        "flash",
        "origin4",
        "origin-half",
    ]


def test_classes_have_a_table(tmp_path: Path) -> None:
    lines = sim(tmp_path, "--scenario", "slow10").out.splitlines()
    assert any(line.startswith("slow10") and line.split()[1] == "fast" for line in lines)
    assert any("max(F/u_s, F/d," in line for line in lines)


def test_a_run_that_fails_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    done = sim(tmp_path, "--strategy", "swarm,single", "--limit", "1s")
    assert done.code == EXIT_DEADLINE
    assert "single in flash: not done within 1.000 s of virtual time (seed 1)" in done.err
    assert done.out.splitlines()[-1].split()[3] == "swarm"


def test_a_limit_is_a_deadline(tmp_path: Path) -> None:
    done = sim(tmp_path, "--limit", "0.1", "--json")
    assert done.code == EXIT_DEADLINE
    assert done.final["code"] == "deadline"
    assert "0 of 12 machines are done" in done.final["message"]


def test_an_interrupt_ends_it(tmp_path: Path) -> None:
    words = ("sim", "--nodes", "100", "--size", "10GB")
    running = Running(*words, env=environment(tmp_path), cwd=tmp_path)
    running.event("run")
    assert running.stop(signal.SIGINT) == EXIT_INTERRUPTED
    assert running.events[-1]["code"] == "interrupted"
    assert "Traceback" not in running.errors


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--nodes", "0"], "0 nodes: from 1 to 100000 can be simulated"),
        (["--chunks", "30", "--size", "20"], "30 chunks of a file of 20 bytes"),
        (["--chunks", "0"], "0 chunks: from 1 to"),
        (["--size", "1X"], "--size: '1X': 'X' is no unit of a size"),
        (["--size", "0"], "a file of 0 bytes"),
        (["--rate", "0"], "--rate: '0': nothing would ever move"),
        (["--rate", "unlimited"], "--rate: unlimited: a simulated link has a rate"),
        (["--rate", "5Gb"], "may mean bits or bytes"),
        (["--latency", "soon"], "--latency: 'soon': not a duration"),
        (["--limit", "0"], "--limit 0: no time at all"),
        (["--scenario", "flush"], "none is called 'flush' (did you mean 'flash'?)"),
        (["--strategy", "swarm,xyz"], "--strategy: none is called 'xyz' (there are swarm, single"),
        (
            ["--strategy", "chain", "--scenario", "die10"],
            "chain is not simulated in scenario die10",
        ),
        (["--scenario", "racks4", "--nodes", "3"], "3 nodes: scenario racks4 needs 4"),
        (["--plot", "nowhere/x.svg"], "--plot 'nowhere/x.svg': no file can be there"),
        (["--plot", "x", "--strategy", "all", "--scenario", "all"], "are no picture"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sim", *words, "--quiet"]) == EXIT_USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert complaint in said.err
    assert said.err.count("\n") == 1


def test_a_report_says_where_the_time_went_and_changes_nothing(tmp_path: Path) -> None:
    plain, told = sim(tmp_path, "--json"), sim(tmp_path, "--json", "--report")
    assert told.final["trace_digest"] == plain.final["trace_digest"]
    assert "report" not in plain.final
    report = told.final["report"]
    total = sum(of["seconds"] for of in report["causes"])
    assert total == pytest.approx(report["lost_seconds"], rel=0.03)
    text = sim(tmp_path, "--report").out
    assert "lost " in text and "origin: busy" in text


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--like", "no/such file"), "no such file, and no reference"),
        (("--like", "."), "no such file, and no reference"),
    ],
)
def test_what_cannot_be_simulated_again(
    tmp_path: Path, words: tuple[str, ...], complaint: str
) -> None:
    done = sim(tmp_path, *words)
    assert done.code == EXIT_USAGE and complaint in done.err


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    done = sim(tmp_path, "--like", "other.json")
    assert done.code != 0 and "bad recording" in done.err and "Traceback" not in done.err
