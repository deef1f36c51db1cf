"""The command line as a program sees it: exit codes, streams, one JSON object at the end."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from strew import __version__
from strew.cli.main import COMMANDS, GROUPS, help_text, main

START_BUDGET_S = 0.150
"""CONVENTIONS: `--help` and `--version` answer within this."""


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith(("STREW_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "strew", *words],
        capture_output=True,
        text=True,
        timeout=30,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environ,
        check=False,
    )


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_help_and_version_say_what_they_should(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"strew {__version__}\n"
    for words in (["--help"], ["-h"], ["help"]):
        assert main(words) == 0
        assert capsys.readouterr().out == help_text() + "\n"
    assert all(f"  {name} " in help_text() for name in COMMANDS)
    assert max(map(len, help_text().splitlines())) <= 100


def test_no_command_at_all_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "Usage: strew COMMAND" in captured.err


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_the_first_answer_is_quick_and_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys; from strew.cli.main import main; main(sys.argv[1:]); "
        "heavy = {'cyclopts', 'rich', 'asyncio', 'aiohttp', 'msgspec', 'strew.errors'}; "
        "print(*sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    # -I: without this environment's paths, only the source
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        timeout=30,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        check=True,
    )
    assert done.stderr.strip() == ""
    best_s = min(_seconds_of(words) for _ in range(5))
    assert best_s < START_BUDGET_S, f"{best_s:.3f} s"


def _seconds_of(words: list[str]) -> float:
    started_s = time.perf_counter()
    assert run(*words).returncode == 0
    return time.perf_counter() - started_s


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_every_command_of_the_table_has_its_module_and_help(
    command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert importlib.util.find_spec(f"strew.cli.{command.module}"), "not written yet"
    assert main([command.name, "--help"]) == 0
    page = capsys.readouterr().out
    assert f"Usage: strew {command.name}" in page
    assert "--json" in page or "Commands" in page


def test_the_table_has_each_command_once() -> None:
    assert len(COMMANDS) == sum(len(group) for group in GROUPS.values())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["doctr"], "unknown command 'doctr' (did you mean 'strew doctor'?)"),
        (["--bogus"], "unknown flag '--bogus' ('strew --help' lists all commands)"),
        (["doctor", "--jooin", "h:1"], "Unknown option: --jooin (did you mean --join?)"),
        (["doctor", "--join"], "--join requires an argument"),
        (["config", "explain", "a", "b"], "one argument too many: 'b'"),
        (["config", "explain", "rate", "--what"], "Unknown option: --what"),
        (["config", "--rate", "10 potatoes"], "--rate: '10 potatoes': 'potatoes' is no unit"),
        (["config", "--join", "h:99999"], "--join: 'h:99999': a port is between 1 and 65535"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_2(words: list[str], message: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("strew: ")
    as_json = run(*words, "--json")
    assert as_json.returncode == 2 and as_json.stderr == ""
    (error,) = objects(as_json.stdout)
    assert error["type"] == "error" and error["code"] == "usage"
    assert set(error) == {"type", "code", "message", "hint"}


def test_a_wrong_setting_is_exit_9() -> None:
    done = run("config", STREW_NEIGHBOURS="many")
    assert done.returncode == 9
    assert done.stderr == "strew: STREW_NEIGHBOURS: 'many' is not a whole number\n"


def test_what_is_not_there_is_exit_3() -> None:
    done = run("--json", "config", "explain", "neighbor")
    assert done.returncode == 3
    assert objects(done.stdout)[-1]["hint"] == "did you mean 'neighbours'?"


def test_json_can_be_asked_for_by_a_variable() -> None:
    done = run("config", STREW_JSON="1")
    (result,) = objects(done.stdout)
    assert result["type"] == "result"
    assert objects(run("nonsense", STREW_JSON="1").stdout)[0]["code"] == "usage"


def test_a_closed_pipe_is_no_news() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "strew", "config", "explain"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 1


@pytest.mark.parametrize("words", [["--help"], ["config", "explain"], ["config", "--json"]])
def test_a_full_disk_behind_stdout_is_one_line(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "strew", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            check=False,
        )
    assert done.returncode in (1, 7)
    assert "Traceback" not in done.stderr and done.stderr.count("\n") <= 1


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize("words", ["--help", "config", "nonsense"])
def test_closed_streams_are_no_bug(words: str, redirection: str) -> None:
    done = subprocess.run(
        f'"{sys.executable}" -m strew {words} {redirection}',
        shell=True,
        capture_output=True,
        text=True,
        timeout=30,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == (2 if words == "nonsense" else 0)
    assert "Error" not in done.stderr


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the next call of a command end with the exception given."""

    def breaks(error: BaseException) -> None:
        def call(*_: object) -> int:
            raise error

        monkeypatch.setattr("strew.cli.call.call", call)

    return breaks


def test_a_bug_is_one_line_and_a_place_to_report(
    broken: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(ValueError("two\nlines"))
    assert main(["ls"]) == 1
    message = capsys.readouterr().err
    assert "internal error in 'strew ls': ValueError: two lines" in message
    assert "STREW_DEBUG=1" in message and message.count("\n") == 1
    monkeypatch.setenv("STREW_DEBUG", "1")
    assert main(["ls"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_an_interrupt_is_130(broken: Any, capsys: pytest.CaptureFixture[str]) -> None:
    broken(KeyboardInterrupt())
    assert main(["ls"]) == 130
    assert capsys.readouterr().err.startswith("strew: interrupted")
    assert main(["--json", "ls"]) == 130
    assert objects(capsys.readouterr().out)[0]["code"] == "interrupted"


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (OSError(28, "No space left on device", "/x/y"), "disk", 7),
        (OSError(30, "Read-only file system", b"/x/y"), "disk", 7),
        (PermissionError(13, "Permission denied", "/x/y"), "system", 1),
    ],
)
def test_a_refusal_of_the_system_is_one_line_with_the_file(
    broken: Any,
    capsys: pytest.CaptureFixture[str],
    error: OSError,
    code: str,
    exit_code: int,
) -> None:
    broken(error)
    assert main(["--json", "ls"]) == exit_code
    (line,) = objects(capsys.readouterr().out)
    assert line["code"] == code and "'/x/y': " in line["message"]
