"""Files and variables that hold no settings, given to real commands."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.badinput.daemons import Daemons
from tests.badinput.test_command_line import refused
from tests.cli.processes import call

FILES: dict[str, tuple[bytes, str]] = {
    "an unknown key": (b"rate-upp = '10M'", "did you mean 'rate-up'"),
    "a key that is like none": (b"colour = 'red'", "unknown key 'colour'"),
    "a key in a table": (b"[limits]\nrate-up = '10M'", "unknown key 'limits'"),
    "the wrong type": (b"rate-up = true", "wants a number or a text"),
    "a list for one value": (b"rate-up = ['1M', '2M']", "got a list"),
    "a table for a value": (b"rate-up = {a = 1}", "got a table"),
    "a date": (b"rate-up = 2026-01-01", "got a date"),
    "numbers in a list of texts": (b"follow = [1, 2]", "a list of texts"),
    "port 99999": (b"listen = '127.0.0.1:99999'", "a port is between 0 and 65535"),
    "a negative number": (b"neighbours = -1", "number from 0 up"),
    "nan": (b"rate-up = nan", "number from 0 up"),
    "a number of 400 digits": (b"neighbours = " + b"9" * 400, "neighbours"),
    "a number of 5000 digits": (b"neighbours = " + b"9" * 5000, "too long"),
    "the same key twice": (b"zone = 'a'\nzone = 'b'", "the same key stands twice"),
    "no TOML": (b"rate-up: 10M", "not valid TOML"),
    "half a text": (b"zone = 'a", "not valid TOML"),
    "binary": (bytes(range(256)), "not a text file in UTF-8"),
    "a program": (b"\x7fELF\x02\x01\x01\x00", "not valid TOML"),
    "UTF-16": ("zone = 'a'".encode("utf-16"), "not a text file in UTF-8"),
    "deep lists": (b"follow = " + b"[" * 20_000, "nested too deeply"),
    "more than 1 MiB": (b"# " + b"x" * (1 << 20), "larger than"),
    "a profile that is none": (b"profile = 'paranoid'", "none of lab, strict"),
    "a bad pattern": (b"follow = ['app *']", "pattern"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_settings_that_is_none_stops_every_kind_of_command(
    daemons: Daemons, tmp_path: Path, name: str
) -> None:
    content, part = FILES[name]
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    for words in (("ls",), ("serve", "--data", "d"), ("node", "--data", "d"), ("get", "app:1")):
        done = call(*words, "--config", str(file), env=daemons.fleet.env, cwd=tmp_path)
        refused(done, 9, str(file), part)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml"]


def a_folder(path: Path) -> None:
    path.mkdir()


def a_loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("make", [a_folder, a_loop, lambda path: None])
def test_a_file_of_settings_that_cannot_be_read_is_told(
    daemons: Daemons, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "config.toml")
    done = call("ls", "--config", "config.toml", env=daemons.fleet.env, cwd=tmp_path)
    refused(done, 9, "config.toml")


VARIABLES = {
    "STREW_RATE": "10 potatoes",
    "STREW_AT": "127.0.0.1:99999",
    "STREW_FLEET_KEY": "0" * 63,
    "STREW_LOG_LEVEL": "loud",
    "STREW_FOLLOW": "app *",
    "STREW_CONFIG": "/nowhere/at-all.toml",
    "STREW_ZONE": "a\nb",
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_that_is_no_value_is_told_by_its_name(
    daemons: Daemons, tmp_path: Path, variable: str
) -> None:
    env = daemons.fleet.env | {variable: VARIABLES[variable]}
    refused(call("ls", env=env, cwd=tmp_path), 9, variable)


def test_a_key_file_that_holds_none_is_told(daemons: Daemons, tmp_path: Path) -> None:
    for content in (b"", b"0" * 63, b"\x00" * 32, b"x" * 5000, "0٠".encode() * 32):
        (tmp_path / "key").write_bytes(content)
        env = daemons.fleet.env | {"STREW_FLEET_KEY": str(tmp_path / "key")}
        refused(call("ls", env=env, cwd=tmp_path), 9, "STREW_FLEET_KEY")
