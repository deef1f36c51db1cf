"""`strew config`: values, their origins, explanations."""

import json
from pathlib import Path
from typing import Any

import pytest

from strew.agent.settings import KEYS
from strew.cli.main import main


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "STREW_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def result(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main([*words, "--json"]) == 0
    last: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["type"] == "result"
    return last


def test_show_says_where_a_value_comes_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    file = home / ".config/strew/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('zone = "rack-1"\n')
    monkeypatch.setenv("STREW_NEIGHBOURS", "12")
    assert main(["config", "show", "--origin", "--rate", "80Mbit"]) == 0
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["zone"] == ["rack-1", f"{file}:", "zone"]
    assert lines["neighbours"] == ["12", "STREW_NEIGHBOURS"]
    assert lines["rate-up"] == ["10000000", "--rate"]
    assert lines["upload-slots"] == ["3", "default"]
    settings = result(capsys, "config")["settings"]
    assert settings["zone"] == {"value": "rack-1", "source": "file", "where": f"{file}: zone"}


def test_the_fleet_key_is_never_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREW_FLEET_KEY", "ab" * 32)
    assert "abab" not in json.dumps(result(capsys, "config"))


def test_path_names_the_file(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    found = result(capsys, "config", "path")
    assert found["path"] == str(home / ".config/strew/config.toml")
    assert found["exists"] is False


def test_path_without_a_home_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    assert main(["config", "path"]) == 3


@pytest.mark.parametrize("key", KEYS)
def test_what_explain_shows_can_be_written_to_the_file(
    capsys: pytest.CaptureFixture[str], key: str, tmp_path: Path
) -> None:
    setting = result(capsys, "config", "explain", key)["setting"]
    assert setting["variable"].startswith("STREW_")
    if KEYS[key].secret:
        return  # its example names a file of another machine
    file = tmp_path / "example.toml"
    file.write_text(setting["file"] + "\n")
    assert main(["config", "--config", str(file)]) == 0
