"""What goes to which stream, and the one final object."""

import json
import sys

import pytest

from strew.cli.output import Output, one_line, table, wants_colour
from strew.errors import NotFoundError


def test_data_on_stdout_everything_else_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output()
    out.line("data")
    out.note("note")
    out.warn("careful")
    out.event("published")
    out.result(size_bytes=1)
    captured = capsys.readouterr()
    assert captured.out == "data\n"
    assert captured.err == "note\nstrew: warning: careful\n"


def test_quiet_keeps_results_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(quiet=True)
    out.line("data")
    out.note("note")
    out.warn("careful")
    captured = capsys.readouterr()
    assert captured.out == "data\n"
    assert captured.err == "strew: warning: careful\n"


def test_json_ends_with_exactly_one_result(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(json=True)
    out.line("data")
    out.note("note")
    out.event("published", artifact="blake3:00")
    out.result(path="caf\udce9")
    out.event("late")
    out.failure(NotFoundError("too late"))
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.isascii()
    kinds = [json.loads(line)["type"] for line in captured.out.splitlines()]
    assert kinds == ["published", "result"]
    with pytest.raises(AssertionError):
        out.result()


def test_an_error_is_one_line_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    Output().failure(NotFoundError("no such\nthing\x1b[31m", hint="look elsewhere"))
    assert capsys.readouterr().err == "strew: no such thing\\x1b[31m (look elsewhere)\n"


def test_one_line_shows_what_cannot_be_printed() -> None:
    assert one_line("a\r\n b\0\u202e") == "a b\\x00\\u202e"


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert wants_colour(sys.stdout, {})
    assert not wants_colour(sys.stdout, {"NO_COLOR": "1"})
    assert not wants_colour(sys.stdout, {"TERM": "dumb"})


def test_a_table_is_aligned() -> None:
    rows = [("NAME", "SIZE"), ("a", "10"), ("long", "5")]
    assert table(rows, right=frozenset({1})) == ["NAME  SIZE", "a       10", "long     5"]
