"""`strew key ca` and `strew key issue`, as typed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from strew.certificates.credentials import Files, load
from tests.certificates.issued import utc
from tests.cli.processes import Done, call, environment


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path


def key(home: Path, *words: str) -> Done:
    return call("key", *words, env=environment(home / "home"), cwd=home)


def test_three_commands_make_all_that_a_strict_node_needs(home: Path) -> None:
    made = key(home, "ca", "ca", "--name", "our fleet", "--json")
    assert made.code == 0 and made.final["certificate"] == "ca/ca.pem"
    issued = key(home, "issue", "box", "--ca", "ca", "--host", "10.0.0.7,box.lan", "--json")
    assert issued.code == 0, issued.err
    files = Files(home / "ca/ca.pem", home / "box.pem", home / "box.key")
    found = load(files, utc())
    assert found.certified.digits == issued.final["peer"]
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    again = key(home, "issue", "box", "--ca", "ca", "--json", "--into", "new")
    assert again.final["peer"] == issued.final["peer"]
    assert (home / "new/box.pem").exists()


def test_it_prints_the_file_on_stdout_and_what_to_do_on_stderr(home: Path) -> None:
    made = key(home, "ca", "ca")
    assert made.out == "ca/ca.pem\n" and "strew key issue NAME --ca ca" in made.err
    issued = key(home, "issue", "box", "--ca", "ca")
    assert issued.out == "box.pem\n"
    assert "--tls-ca ca/ca.pem --tls-cert box.pem --tls-key box.key" in issued.err
    assert "PRIVATE KEY" not in made.out + made.err + issued.out + issued.err


def test_a_user_has_half_a_peer_id_and_no_addresses(home: Path) -> None:
    key(home, "ca", "ca")
    issued = key(home, "issue", "Ann Other", "--ca", "ca", "--user", "--for", "12h", "--json")
    assert len(issued.final["peer"]) == 16
    assert issued.final["certificate"] == "Ann_Other.pem"
    found = load(Files(home / "ca/ca.pem", home / "Ann_Other.pem", home / "Ann_Other.key"), utc())
    assert not found.certified.is_node
    assert found.ends_s - utc().timestamp() == pytest.approx(12 * 3600, abs=60)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("ca", "ca"), 2, "exists already"),
        (("ca", ""), 2, "empty"),
        (("ca", "file/inside"), 7, "cannot write"),
        (("ca", "c2", "--name", ""), 2, "no name for a certificate"),
        (("issue", "box"), 2, "--ca"),
        (("issue", "box", "--ca", "nowhere"), 9, "nowhere/ca.key': No such file"),
        (("issue", "", "--ca", "ca"), 2, "no name for a certificate"),
        (("issue", "box", "--ca", "ca", "--for", "long"), 2, "--for: 'long' is not a duration"),
        (("issue", "box", "--ca", "ca", "--for", "-1h"), 2, "--for"),
        (("issue", "box", "--ca", "ca", "--for", "0s"), 2, "at most"),
        (("issue", "box", "--ca", "ca", "--host", "a:1"), 2, "neither a host name nor"),
        (("issue", "box", "--ca", "ca", "--user", "--host", "a"), 2, "--host does not go with"),
        (("issue", "../../x", "--ca", "ca", "--into", "file"), 7, "cannot write"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_are_one_line(home: Path, words: tuple[str, ...], code: int, said: str) -> None:
    key(home, "ca", "ca")
    (home / "file").write_text("no folder")
    before = sorted(home.rglob("*"))
    done = key(home, *words)
    assert done.code == code, done.err
    assert said in done.err and len(done.err.splitlines()) == 1
    assert sorted(home.rglob("*")) == before, "nothing is left behind"


def test_a_name_is_no_path(home: Path) -> None:
    key(home, "ca", "ca")
    issued = key(home, "issue", "../../etc/box", "--ca", "ca", "--json")
    assert issued.final["certificate"] == "_.._etc_box.pem"
