"""Settings: which place wins, and every way to write them wrong."""

import re
from pathlib import Path

import pytest

from strew.agent.config import (
    CONFIG_FILE_MAX_BYTES,
    Configuration,
    Origin,
    Source,
    config_folder,
    default_data_folder,
    load,
    nearest_key,
)
from strew.content.reference import Address
from strew.errors import ConfigurationError, UsageError

KEY = "00ff" * 16


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment with a home folder and nothing else."""
    (tmp_path / ".config/strew").mkdir(parents=True)
    return {"HOME": str(tmp_path)}


def write(home: dict[str, str], text: str | bytes) -> Path:
    path = Path(home["HOME"], ".config/strew/config.toml")
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def origin_of(found: Configuration, field: str) -> Origin:
    return found.origins[field]


def test_defaults_stand_where_nothing_is_given(home: dict[str, str]) -> None:
    found = load(environ=home, role="node")
    settings = found.settings
    assert settings.listen == Address("127.0.0.1", 7301)
    assert settings.data == Path(home["HOME"], ".local/share/strew/node")
    assert (settings.upload_slots, settings.download_credit, settings.neighbours) == (3, 3, 40)
    assert settings.rate_up_bytes_per_s is None
    assert settings.join == settings.follow == ()
    assert settings.chunk_stall_s == 5.0
    assert settings.fleet_key is None
    assert all(origin.source is Source.DEFAULT for origin in found.origins.values())
    assert found.file is None


def test_roles_do_not_share_a_port_or_a_folder(home: dict[str, str]) -> None:
    node, serve, client = (
        load(environ=home, role=role).settings for role in ("node", "serve", "client")
    )
    assert serve.listen == Address("127.0.0.1", 7300)
    assert client.listen.port == 0
    assert len({node.data, serve.data, client.data}) == 3


def test_flag_beats_environment_beats_file_beats_default(home: dict[str, str]) -> None:
    path = write(home, 'zone = "from-file"\nneighbours = 10\nupload-slots = 4\n')
    environ = home | {"STREW_ZONE": "from-environment", "STREW_NEIGHBOURS": "11"}
    found = load({"zone": "from-flag", "neighbours": None}, environ=environ)
    assert found.settings.zone == "from-flag"
    assert origin_of(found, "zone") == Origin(Source.FLAG, "--zone")
    assert found.settings.neighbours == 11
    assert origin_of(found, "neighbours") == Origin(Source.ENVIRONMENT, "STREW_NEIGHBOURS")
    assert found.settings.upload_slots == 4
    assert origin_of(found, "upload_slots") == Origin(Source.FILE, f"{path}: upload-slots")
    assert found.settings.download_credit == 3
    assert origin_of(found, "download_credit").source is Source.DEFAULT


def test_rate_speaks_for_both_ways_at_its_own_place(home: dict[str, str]) -> None:
    environ = home | {"STREW_RATE_UP": "5M", "STREW_RATE": "7M"}
    from_environment = load(environ=environ).settings
    assert from_environment.rate_up_bytes_per_s == 5 << 20
    assert from_environment.rate_down_bytes_per_s == 7 << 20
    from_flag = load({"rate": "1M", "rate-down": "unlimited"}, environ=environ).settings
    assert from_flag.rate_up_bytes_per_s == 1 << 20
    assert from_flag.rate_down_bytes_per_s is None


def test_lists_come_from_repeated_flags_commas_and_toml(home: dict[str, str]) -> None:
    write(home, 'follow = ["app:*", "data:2"]\njoin = "a:1,b:2"\n')
    settings = load({"join": ["c:3", "d:4,c:3"]}, environ=home).settings
    assert settings.follow == ("app:*", "data:2")
    assert settings.join == (Address("c", 3), Address("d", 4))
    assert load(environ=home).settings.join == (Address("a", 1), Address("b", 2))


def test_an_empty_variable_is_not_set(home: dict[str, str]) -> None:
    assert load(environ=home | {"STREW_NEIGHBOURS": ""}).settings.neighbours == 40


def test_numbers_in_the_file_need_no_quotes(home: dict[str, str]) -> None:
    write(home, 'store-limit = 2000000\nchunk-stall = 2.5\nrate-up = "8Mbit"\n')
    settings = load(environ=home).settings
    assert settings.store_limit_bytes == 2_000_000
    assert settings.chunk_stall_s == 2.5
    assert settings.rate_up_bytes_per_s == 1_000_000


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"rate-upp = '1M'", r"unknown key 'rate-upp' \(did you mean 'rate-up'\?\)"),
        (b"rate_up = '1M'", r"unknown key 'rate_up' \(did you mean 'rate-up'\?\)"),
        (b"potatoes = 1", r"unknown key 'potatoes'"),
        (b"[node]\nzone = 'x'", r"unknown key 'node'"),
        (b"rate-up = true", "rate-up: wants a number or a text, got true or false"),
        (b"rate-up = ['1M']", "wants a number or a text, got a list"),
        (b"zone = 5", "zone: wants a text, got a number"),
        (b"zone = 2024-01-01", "got a date"),
        (b"follow = [1]", "follow: wants a list of texts, got a list"),
        (b"neighbours = -3", "not a number from 0 up"),
        (b"chunk-stall = nan", "not a number from 0 up"),
        (b"neighbours = 2.5", "'2.5' is not a whole number"),
        (b"neighbours = 1", "below the smallest, 2 nodes"),
        (b"neighbours = 100000", "above the largest, 256 nodes"),
        (b"rate-up = 1", "below the smallest, 1K"),
        (b"listen = '0.0.0.0:99999'", "between 0 and 65535"),
        (b"join = 'h:99999'", "between 1 and 65535"),
        (b"zone = 'a'\nzone = 'b'\n", "not valid TOML: the same key stands twice .*line 2"),
        (b"zone = ", "not valid TOML: Invalid value"),
        (b"\x7fELF\x00\x01\xff\xfe", "not a text file in UTF-8"),
        (b"a = " + b"[" * 20_000, "not valid TOML|nested too deeply"),
        (b"#" * (CONFIG_FILE_MAX_BYTES + 1), "is larger than 1048576 bytes"),
        (b"log-level = 'loud'", "'loud' is none of debug, info, warning, error"),
        (b"zone = 'my rack'", "is not a zone"),
        (b"into = ''", "name of the folder is empty"),
        (b'into = "a\\u0000b"', "NUL"),
        (b"fleet-key = '/nowhere/key'", "key file '/nowhere/key' does not exist"),
    ],
)
def test_each_mistake_in_the_file_is_one_line(home: dict[str, str], text: bytes, rule: str) -> None:
    path = write(home, text)
    with pytest.raises(ConfigurationError) as caught:
        load(environ=home)
    message = str(caught.value)
    assert re.search(rule, message), message
    assert str(path) in message
    assert "\n" not in message
    assert caught.value.exit_code == 9


def test_a_mistake_in_the_file_is_told_also_where_a_flag_overrides_it(
    home: dict[str, str],
) -> None:
    write(home, "neighbours = 1")
    with pytest.raises(ConfigurationError, match="below the smallest"):
        load({"neighbours": "8"}, environ=home)


def test_the_place_of_a_mistake_is_named(home: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"^--rate: '10 potatoes': 'potatoes' is no unit"):
        load({"rate": "10 potatoes"}, environ=home)
    with pytest.raises(ConfigurationError, match=r"^STREW_RATE: '10 potatoes'"):
        load(environ=home | {"STREW_RATE": "10 potatoes"})


def test_a_named_file_must_exist(home: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--config: there is no file"):
        load(environ=home, config_path=tmp_path / "none.toml")
    with pytest.raises(ConfigurationError, match="STREW_CONFIG: there is no file"):
        load(environ=home | {"STREW_CONFIG": "/nowhere.toml"})
    with pytest.raises(ConfigurationError, match="is not a file"):
        load(environ=home, config_path=tmp_path)


def test_the_named_file_is_read_instead(home: dict[str, str], tmp_path: Path) -> None:
    write(home, "zone = 'usual'")
    other = tmp_path / "other.toml"
    other.write_text("zone = 'other'")
    assert load(environ=home | {"STREW_CONFIG": str(other)}).settings.zone == "other"
    assert load(environ=home, config_path=other).file == other


def test_it_works_without_a_home() -> None:
    found = load(environ={})
    assert found.settings.data is None
    with pytest.raises(ConfigurationError, match="give --data DIR or set STREW_DATA"):
        _ = found.settings.data_folder
    assert config_folder({"HOME": "relative"}) is None
    assert load({"data": "/srv/x"}, environ={}).settings.data_folder == Path("/srv/x")


def test_xdg_folders_are_honoured_when_absolute() -> None:
    environ = {"HOME": "/h", "XDG_CONFIG_HOME": "/c", "XDG_DATA_HOME": "relative"}
    assert config_folder(environ) == Path("/c/strew")
    assert default_data_folder(environ, "node") == Path("/h/.local/share/strew/node")


def test_the_fleet_key_is_digits_or_a_file(home: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY.upper() + "\n")
    assert load({"fleet-key": str(file)}, environ=home).settings.fleet_key_text == KEY
    assert load(environ=home | {"STREW_FLEET_KEY": KEY}).settings.fleet_key_text == KEY
    with pytest.raises(ConfigurationError, match="no fleet key"):
        _ = load(environ=home).settings.fleet_key_text


def test_a_key_in_the_usual_place_is_found(home: dict[str, str]) -> None:
    path = Path(home["HOME"], ".config/strew/fleet.key")
    path.write_text(KEY)
    found = load(environ=home)
    assert found.settings.fleet_key == KEY
    assert origin_of(found, "fleet_key") == Origin(Source.DEFAULT, str(path))


@pytest.mark.parametrize("content", [b"", b"00ff", b"zz" * 32, b"\xff" * 64, b"0" * 5000])
def test_a_wrong_key_file_is_refused_without_showing_it(
    home: dict[str, str], tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="--fleet-key: ") as caught:
        load({"fleet-key": str(file)}, environ=home)
    assert not content or content.decode("ascii", "replace") not in str(caught.value)


def test_a_key_of_63_digits_is_counted_and_not_shown(home: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="64 hex digits, this has 63") as caught:
        load(environ=home | {"STREW_FLEET_KEY": KEY[:-1]})
    assert KEY[:-1] not in str(caught.value)


def test_nearest_key() -> None:
    assert nearest_key("RATE_UP") == "rate-up"
    assert nearest_key("neighbors") == "neighbours"
    assert nearest_key("xyzzy") is None
