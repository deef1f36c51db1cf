"""Tokens on disk: durable, private, and never lost by a file that is not understood."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from strew.access.tokens import Fault, Grant, id_of
from strew.errors import ConfigurationError, DiskError
from strew.fleet import Role
from strew.tracker.vault import ADMIN_FILE, TOKENS_FILE, Vault, read_token


def test_tokens_outlive_the_process_and_no_secret_is_written(tmp_path: Path) -> None:
    record, text = Vault(tmp_path).make("publish", scope="app:*")
    again = Vault(tmp_path)
    assert again.check(text) == Grant(Role.PUBLISH, record.id, "app:*")
    path = tmp_path / TOKENS_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert text.partition(".")[2] not in path.read_text()
    assert [entry.name for entry in tmp_path.iterdir()] == [TOKENS_FILE]


def test_what_was_used_or_revoked_stays_so(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    join, _ = vault.make("join")
    publish, text = vault.make("publish")
    assert vault.use(join.id, "10.0.0.1")
    vault.revoke(publish.id)
    again = Vault(tmp_path)
    assert not again.use(join.id, "10.0.0.2"), "once is once, also after a restart"
    assert again.check(text) is Fault.REVOKED


def test_only_live_join_tokens_can_be_used(tmp_path: Path) -> None:
    now = [1000.0]
    vault = Vault(tmp_path, lambda: now[0])
    late, _ = vault.make("join", life_s=60.0)
    revoked, _ = vault.make("join")
    other, _ = vault.make("publish")
    vault.revoke(revoked.id)
    now[0] = 1060.0
    for token_id in (late.id, revoked.id, other.id, "f" * 16):
        assert not vault.use(token_id, "10.0.0.1")


def test_the_owners_admin_token_is_made_once(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    vault.own_admin_token()
    path = tmp_path / ADMIN_FILE
    token = read_token(path)
    assert token is not None and path.stat().st_mode & 0o777 == 0o600
    assert vault.check(token) == Grant(Role.ADMIN, id_of(token))
    Vault(tmp_path).own_admin_token()
    assert read_token(path) == token and len(Vault(tmp_path).records()) == 1


def test_an_admin_token_that_does_not_hold_any_more_is_made_anew(tmp_path: Path) -> None:
    Vault(tmp_path).own_admin_token()
    (tmp_path / TOKENS_FILE).unlink()
    vault = Vault(tmp_path)
    vault.own_admin_token()
    token = read_token(tmp_path / ADMIN_FILE)
    assert token is not None and isinstance(vault.check(token), Grant)
    vault.revoke(id_of(token))
    vault.own_admin_token()
    newer = read_token(tmp_path / ADMIN_FILE)
    assert newer not in (None, token)


def test_a_change_that_cannot_be_kept_does_not_hold(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "data")
    record, text = vault.make("publish")
    (tmp_path / "data").rename(tmp_path / "moved")
    (tmp_path / "data").touch()
    with pytest.raises(DiskError, match="cannot write"):
        vault.revoke(record.id)
    with pytest.raises(DiskError):
        vault.make("admin")
    assert vault.records() == [record] and isinstance(vault.check(text), Grant)


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b"", DiskError, "damaged"),
        (b"{}", DiskError, "damaged"),
        (b'{"version": 1, "tokens": [{"id": "x"}]}', DiskError, "damaged"),
        (b'{"version": 1, "tokens": []', DiskError, "damaged"),
        (b"\xff\xfe", DiskError, "damaged"),
        (b'{"version": 2, "more": true}', ConfigurationError, "newer"),
    ],
)
def test_a_file_that_is_not_understood_is_left_alone(
    tmp_path: Path, content: bytes, kind: type[Exception], said: str
) -> None:
    path = tmp_path / TOKENS_FILE
    path.write_bytes(content)
    with pytest.raises(kind, match=said):
        Vault(tmp_path)
    assert path.read_bytes() == content


def test_a_link_in_the_place_of_the_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_bytes(msgspec.json.encode({"version": 1}))
    (tmp_path / TOKENS_FILE).symlink_to(target)
    Vault(tmp_path).make("read")
    assert target.read_bytes() == msgspec.json.encode({"version": 1})
    assert not os.path.islink(tmp_path / TOKENS_FILE)
