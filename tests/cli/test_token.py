"""`strew token`, joining by a token, and publishing with one: real processes."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from strew.access.tokens import is_token
from strew.cli.fleetkey import KEY_FILE
from strew.tracker.audit import AUDIT_FILE
from strew.tracker.vault import ADMIN_FILE
from tests.cli.processes import Done, Running, call, until
from tests.machines import Fleet

SERVE_DATA = "home/.local/share/strew/serve"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("tokens")) as fleet:
        yield fleet


def ask(fleet: Fleet, *words: str, **env: str) -> Done:
    return call(*words, "--json", env=fleet.env | env, cwd=fleet.folder)


def made(fleet: Fleet, *words: str) -> str:
    done = ask(fleet, "token", "new", *words)
    assert done.code == 0, done.out
    token = str(done.final["token"])
    assert is_token(token)
    return token


def joining(fleet: Fleet, token: str, data: str = "n1.data") -> Running:
    """A node that knows no fleet key: not from its environment, not from its home."""
    home = fleet.folder / f"{data}.home"
    home.mkdir(exist_ok=True)
    env = {**fleet.env, "HOME": str(home), "STREW_JOIN_TOKEN": token}
    words = ("node", "--join", fleet.at, "--follow", "app:*", "--into", "n1", "--data", data)
    return Running(*words, "--listen", "127.0.0.1:0", env=env, cwd=fleet.folder)


def test_a_machine_joins_by_a_token_fetches_and_needs_no_token_again(fleet: Fleet) -> None:
    token = made(fleet, "--role", "join")
    node = joining(fleet, token)
    try:
        node.event("listening")
        kept = fleet.folder / "n1.data" / KEY_FILE
        assert kept.stat().st_mode & 0o777 == 0o600
        assert kept.read_text().strip() == fleet.key.text
        (fleet.folder / "app.bin").write_bytes(b"first" * 1000)
        pushed = ask(fleet, "push", "app.bin", "app:1")
        node.event("transfer", artifact=pushed.final["artifact"])
        assert node.stop() == 0
        node = joining(fleet, token)
        node.event("listening")
    finally:
        node.kill()
    second = joining(fleet, token, data="n2.data")
    try:
        until(lambda: second.process.poll() is not None, "the second machine to be refused")
        assert second.stop() == 6
        [error] = [event for event in second.events if event["type"] == "error"]
        assert "is used" in error["message"] and "strew token new" in error["hint"]
    finally:
        second.kill()
    assert not (fleet.folder / "n2.data" / KEY_FILE).exists()


def test_a_publisher_with_a_token_names_what_its_scope_allows(fleet: Fleet) -> None:
    token = made(fleet, "--role", "publish", "--scope", "app:*", "--for", "10m")
    (fleet.folder / "app.bin").write_bytes(b"first" * 1000)
    assert ask(fleet, "push", "app.bin", "app:1", STREW_TOKEN=token).code == 0
    refused = ask(fleet, "push", "app.bin", "other:1", "--token", token)
    assert (refused.code, refused.final["code"]) == (6, "denied")
    assert "may name app:*, not other:1" in refused.final["message"]
    listed = ask(fleet, "token", "ls").final["tokens"]
    [row] = [row for row in listed if row["role"] == "publish"]
    assert token not in str(listed) and (row["state"], row["scope"]) == ("live", "app:*")
    assert ask(fleet, "token", "revoke", row["id"]).final["state"] == "revoked"
    gone = ask(fleet, "push", "app.bin", "app:2", "--token", token)
    assert gone.code == 6 and "was revoked" in gone.final["message"]
    log = (fleet.folder / SERVE_DATA / AUDIT_FILE).read_text()
    assert '"event":"publish"' in log and row["id"] in log
    assert token.partition(".")[2] not in log and fleet.key.text not in log


def test_the_owner_of_the_data_folder_is_admin_and_nobody_else(
    fleet: Fleet, tmp_path: Path
) -> None:
    admin = fleet.folder / SERVE_DATA / ADMIN_FILE
    assert admin.stat().st_mode & 0o777 == 0o600
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    stranger = {"HOME": str(elsewhere)}
    nobody = ask(fleet, "token", "ls", **stranger)
    assert nobody.code == 9 and "admin token" in nobody.final["message"]
    assert "--data" in nobody.final["hint"]
    assert ask(fleet, "token", "ls", "--data", SERVE_DATA, **stranger).code == 0
    assert ask(fleet, "token", "ls", "--token", str(admin), **stranger).code == 0
    reader = made(fleet, "--role", "read")
    refused = ask(fleet, "token", "ls", "--token", reader)
    assert refused.code == 6 and "read, may not tokens" in refused.final["message"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("new", "--role", "king"), 2, "king"),
        (("new",), 2, "--role"),
        (("new", "--role", "read", "--scope", "app:*"), 2, "no scope"),
        (("new", "--role", "join", "--for", "30d"), 2, "at most 7 days"),
        (("new", "--role", "join", "--for", "0s"), 2, "must live"),
        (("new", "--role", "join", "--for", "soon"), 2, "not a duration"),
        (("new", "--role", "publish", "--scope", "a b"), 2, "pattern"),
        (("revoke", "../x"), 2, "no id"),
        (("revoke", "f" * 16), 3, "no token"),
        (("ls", "--token", "hunter2"), 2, "no token"),
    ],
)
def test_mistakes_are_told_in_one_line(
    fleet: Fleet, words: tuple[str, ...], code: int, said: str
) -> None:
    done = ask(fleet, "token", *words)
    assert done.code == code, done.out
    assert said in done.final["message"] and "\n" not in done.final["message"]
    assert "hunter2" not in done.out + done.err


def test_a_host_that_was_allowed_is_served(tmp_path: Path) -> None:
    with Fleet(tmp_path, "--allow-host", "strew.example.org") as fleet:
        for name, status in (("strew.example.org:7300", 200), ("evil.example.org", 421)):
            request = urllib.request.Request(f"http://{fleet.at}/healthz", headers={"Host": name})
            try:
                with urllib.request.urlopen(request, timeout=5.0) as answer:
                    assert answer.status == status
            except urllib.error.HTTPError as error:
                assert error.code == status
        assert '"status":421' in (fleet.folder / SERVE_DATA / AUDIT_FILE).read_text()
