"""Where the fleet key comes from, and how serve makes and keeps one."""

from pathlib import Path

import pytest

from strew.agent.config import load
from strew.agent.settings import Settings
from strew.cli.fleetkey import KEY_FILE, fleet_key, is_loopback, serving_key
from strew.content.reference import Address
from strew.errors import ConfigurationError, DiskError

HERE = Address("127.0.0.1", 7300)
AWAY = Address("192.0.2.7", 7300)


def settings_with(data: Path, key: str | None = None) -> Settings:
    return load({"data": str(data), "fleet-key": key}, environ={}, role="serve").settings


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    settings = settings_with(tmp_path / "data")
    key = serving_key(settings)
    path = tmp_path / "data" / KEY_FILE
    assert path.read_text() == key.text + "\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert serving_key(settings) == key
    assert [file.name for file in path.parent.iterdir()] == [KEY_FILE]


def test_a_configured_key_is_used_and_nothing_is_written(tmp_path: Path) -> None:
    assert serving_key(settings_with(tmp_path / "data", "ab" * 32)).text == "ab" * 32
    assert not (tmp_path / "data").exists()


def test_a_damaged_key_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("half a k")
    with pytest.raises(ConfigurationError, match=KEY_FILE):
        serving_key(settings_with(tmp_path))
    assert (tmp_path / KEY_FILE).read_text() == "half a k"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match="cannot keep the fleet key"):
        serving_key(settings_with(tmp_path / "file" / "data"))


def test_beside_a_serve_its_key_is_found_but_only_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    settings = settings_with(tmp_path / ".local/share/strew/serve")
    with pytest.raises(ConfigurationError, match="no fleet key"):
        fleet_key(settings, HERE)
    key = serving_key(settings)
    assert fleet_key(settings, HERE) == key
    with pytest.raises(ConfigurationError, match="no fleet key"):
        fleet_key(settings, AWAY)
    assert fleet_key(settings_with(tmp_path, "cd" * 32), HERE).text == "cd" * 32


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("::", False)],
)
def test_loopback(host: str, own: bool) -> None:
    assert is_loopback(Address(host, 1)) is own
