"""The file that says whom a process trusts."""

import multiprocessing
import os
from pathlib import Path

import pytest

from strew.agent.anchors import TRUST_FILE, Policy, TrustFile, parse_anchor
from strew.errors import ConfigurationError, DiskError, UsageError
from strew.trust.policy import Anchor
from tests.trust.makers import ALICE, BOB, key

TEXT = ALICE.public.text


def test_what_is_written_is_read_again_and_none_says_nothing(tmp_path: Path) -> None:
    file = TrustFile(tmp_path / "data")
    assert file.read() == Policy() and file.stamp() == ()
    anchors = [Anchor(ALICE.public, "app:*"), Anchor(ALICE.public, "lib:*"), Anchor(BOB.public)]
    for anchor in (*anchors, anchors[0]):
        file.change(lambda policy, anchor=anchor: policy.trusting(anchor))
    before = file.stamp()
    file.change(lambda policy: policy.revoking(BOB.public.id))
    assert file.stamp() != before
    assert TrustFile(tmp_path / "data").read() == Policy(tuple(anchors), (BOB.public.id,))


def test_a_key_that_is_trusted_again_is_revoked_no_more_and_anchors_outlive_revocation() -> None:
    policy = Policy().trusting(Anchor(ALICE.public)).revoking(ALICE.public.id)
    assert policy == Policy((Anchor(ALICE.public),), (ALICE.public.id,))
    assert policy.revoking(ALICE.public.id) == policy
    assert policy.trusting(Anchor(ALICE.public)) == Policy((Anchor(ALICE.public),))


@pytest.mark.parametrize(
    ("text", "pattern"),
    [(TEXT, "*"), (f"{TEXT}=app", "app:*"), (f"{TEXT}=team/*:v?", "team/*:v?")],
)
def test_an_anchor_is_a_key_and_perhaps_a_pattern(text: str, pattern: str) -> None:
    assert parse_anchor(text) == Anchor(ALICE.public, pattern)
    assert parse_anchor(str(parse_anchor(text))) == parse_anchor(text)


@pytest.mark.parametrize("text", ["", "app:*", f"{TEXT}=", f"{TEXT}=a b", f"{TEXT}==app", "=app"])
def test_what_is_no_anchor_is_told_so(text: str) -> None:
    with pytest.raises(UsageError):
        parse_anchor(text)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"form":2}',
        b'{"trusted":[{"key":"ed25519:short"}]}',
        b'{"trusted":[{"key":"%s","patern":"*"}]}' % TEXT.encode(),
        b'{"revoked":["XYZ"]}',
        b" " * (1 << 20) + b"{}",
    ],
    ids=["empty", "binary", "list", "newer", "bad key", "unknown field", "bad id", "huge"],
)
def test_a_file_that_is_not_understood_is_an_error_with_its_name(
    tmp_path: Path, raw: bytes
) -> None:
    (tmp_path / TRUST_FILE).write_bytes(raw)
    with pytest.raises(ConfigurationError, match=r"trust\.json") as caught:
        TrustFile(tmp_path).read()
    assert "\n" not in str(caught.value)
    before = (tmp_path / TRUST_FILE).read_bytes()
    with pytest.raises(ConfigurationError):
        TrustFile(tmp_path).change(lambda policy: policy.trusting(Anchor(ALICE.public)))
    assert (tmp_path / TRUST_FILE).read_bytes() == before


def _trust_ten(folder: str, first: int) -> None:
    for number in range(first, first + 10):
        anchor = Anchor(key(number).public)
        TrustFile(Path(folder)).change(lambda policy, anchor=anchor: policy.trusting(anchor))


def test_commands_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=_trust_ten, args=(str(tmp_path), first)) for first in (10, 20)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20.0)
        assert worker.exitcode == 0
    assert len(TrustFile(tmp_path).read().anchors) == 20


def test_a_folder_that_cannot_be_written_is_a_disk_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match=r"trust\.json"):
        TrustFile(tmp_path / "file").change(lambda policy: policy)
    assert os.listdir(tmp_path) == ["file"]
