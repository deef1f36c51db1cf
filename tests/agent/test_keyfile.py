"""Files of keys: made once, for their owner alone."""

import os
import stat
from pathlib import Path

import pytest

from strew.agent.keyfile import (
    new_signing_key,
    publisher_key,
    read_public_key,
    read_signing_key,
)
from strew.errors import ConfigurationError, DiskError, UsageError
from tests.trust.makers import ALICE


def test_a_new_key_is_its_owners_alone_and_replaces_nothing(tmp_path: Path) -> None:
    old_mask = os.umask(0)
    try:
        made = new_signing_key(tmp_path / "folder/key")
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE((tmp_path / "folder/key").stat().st_mode) == 0o600
    assert os.listdir(tmp_path / "folder") == ["key"]
    assert read_signing_key(tmp_path / "folder/key") == made
    with pytest.raises(UsageError, match="exists"):
        new_signing_key(tmp_path / "folder/key")
    assert read_signing_key(tmp_path / "folder/key") == made
    assert os.listdir(tmp_path / "folder") == ["key"]


def test_no_two_keys_are_the_same(tmp_path: Path) -> None:
    assert new_signing_key(tmp_path / "a") != new_signing_key(tmp_path / "b")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622, 0o700 | 0o011])
def test_a_private_key_that_others_may_touch_is_not_used(tmp_path: Path, mode: int) -> None:
    new_signing_key(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(ConfigurationError, match="can be read by others") as caught:
        read_signing_key(tmp_path / "key")
    assert caught.value.hint == f"chmod 600 {tmp_path / 'key'}"


def test_what_is_no_private_key_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_signing_key(tmp_path / "missing")
    with pytest.raises(ConfigurationError, match="directory"):
        read_signing_key(tmp_path)
    (tmp_path / "junk").write_bytes(b"junk")
    (tmp_path / "junk").chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"junk.*not an Ed25519 private key"):
        read_signing_key(tmp_path / "junk")


def test_a_publishers_key_is_made_once(tmp_path: Path) -> None:
    made = publisher_key(tmp_path)
    assert publisher_key(tmp_path) == made
    (tmp_path / "publisher.key").write_bytes(b"")
    with pytest.raises(ConfigurationError):  # never replaced: nodes trust the one that was there
        publisher_key(tmp_path)


def test_a_public_key_is_given_as_text_or_as_a_file_of_either_half(tmp_path: Path) -> None:
    (tmp_path / "private").write_bytes(ALICE.pem)
    (tmp_path / "private").chmod(0o600)
    assert read_public_key(ALICE.public.text) == ALICE.public
    assert read_public_key(str(tmp_path / "private")) == ALICE.public
    for text in ("", "nothing", "nul\0", str(tmp_path), "ed25519:x"):
        with pytest.raises(UsageError):
            read_public_key(text)


def test_a_place_that_cannot_be_written_is_a_disk_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match="cannot keep a key"):
        new_signing_key(tmp_path / "file/key")
