"""Whom a process believes: its settings, its file, its memory, and how it notices changes."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from strew.agent import trusting as module
from strew.agent.anchors import TRUST_FILE, TrustFile
from strew.agent.config import load
from strew.agent.keyfile import new_signing_key, publisher_key
from strew.agent.process import open_tracker
from strew.agent.settings import Settings
from strew.agent.trusting import Trusting, open_trusting, trusting_of
from strew.announce.records import PutPublication
from strew.content.digest import artifact_id_of
from strew.errors import ConfigurationError, DiskError, IntegrityError
from strew.fleet import FleetKey
from strew.publication import Publication
from strew.tracker.sqlite import SqliteState
from strew.trust import dsse
from strew.trust.keys import member_key
from strew.trust.policy import Anchor
from strew.trust.signing import UNSIGNED, Signatory
from tests.announce.makers import facts
from tests.trust.makers import ALICE, BOB, MALLORY, record

FLEET = FleetKey(bytes(32))
MEMBER = member_key(FLEET)
NOW_S = 2_000.0
"""Within the life of every record here."""


def settings_in(folder: Path, **flags: str) -> Settings:
    given = {"data": str(folder)} | {key.replace("_", "-"): text for key, text in flags.items()}
    return load(given, environ={}, role="node").settings


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Trusting]:
    """A node that trusts Alice by its settings."""
    with open_trusting(settings_in(tmp_path, trust=ALICE.public.text), FLEET, tmp_path) as trusting:
        yield trusting


# --- settings ------------------------------------------------------------------------------------


def test_in_the_lab_a_node_of_whom_nothing_was_said_believes_every_member(tmp_path: Path) -> None:
    lab = trusting_of(settings_in(tmp_path), FLEET)
    assert lab.admits(record(by=(MEMBER,))) and not lab.admits(record(by=(ALICE,)))
    assert lab.signatory.keys == (MEMBER.public,)


def test_settings_and_file_are_trusted_alike(tmp_path: Path) -> None:
    TrustFile(tmp_path).change(lambda policy: policy.trusting(Anchor(BOB.public, "lib:*")))
    node = trusting_of(settings_in(tmp_path, trust=f"{ALICE.public.text}=app"), FLEET)
    assert node.admits(record("app:1")) and node.admits(record("lib:1", by=(BOB,)))
    assert not node.admits(record("lib:1")) and not node.admits(record(by=(MEMBER,)))


def test_strict_wants_somebody_to_trust_and_signs_as_no_member(tmp_path: Path) -> None:
    strict = settings_in(tmp_path, profile="strict")
    with pytest.raises(ConfigurationError, match="whose names to trust"):
        trusting_of(strict, FLEET)
    TrustFile(tmp_path).change(lambda policy: policy.trusting(Anchor(BOB.public)))
    node = trusting_of(strict, FLEET)
    assert not node.admits(record(by=(MEMBER,))) and node.signatory.keys == ()
    serve = trusting_of(settings_in(tmp_path / "s", profile="strict"), FLEET, publisher=ALICE)
    assert serve.admits(record(by=(ALICE,))) and serve.signatory.keys == (ALICE.public,)


def test_serve_has_a_key_of_its_own_unless_it_is_given_one(tmp_path: Path) -> None:
    with open_trusting(settings_in(tmp_path), FLEET, tmp_path, publishes=True) as serve:
        assert serve.signatory.keys == (publisher_key(tmp_path).public, MEMBER.public)
    given = new_signing_key(tmp_path / "given")
    settings = settings_in(tmp_path / "other", sign_with=str(tmp_path / "given"))
    with open_trusting(settings, FLEET, tmp_path / "other", publishes=True) as serve:
        assert serve.signatory.keys == (given.public, MEMBER.public)
    assert not (tmp_path / "other/publisher.key").exists()


def test_a_file_that_is_not_understood_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / TRUST_FILE).write_text("{")
    with pytest.raises(ConfigurationError, match=r"trust\.json"):
        trusting_of(settings_in(tmp_path), FLEET)


# --- beginning a fetch ---------------------------------------------------------------------------


def test_what_was_taken_is_remembered_by_the_next_life(tmp_path: Path, node: Trusting) -> None:
    old, new = record(version=1_000_000), record(version=1_000_001)
    assert node.begin([new], NOW_S) == [new]
    assert not node.admits(old)
    settings = settings_in(tmp_path, trust=ALICE.public.text)
    with open_trusting(settings, FLEET, tmp_path) as later:
        assert not later.admits(old) and later.admits(new)
        with pytest.raises(IntegrityError, match="older than 1000001"):
            later.require(old, NOW_S)


def test_only_what_is_believed_and_good_in_time_begins(node: Trusting) -> None:
    good, forged, spent = record("app:1"), record("app:2", by=(MALLORY,)), record("app:3")
    told = msgspec.structs.replace(good, reference="app:4")
    assert node.begin([good, forged, told], NOW_S) == [good]
    assert node.begin([spent], spent.expires_s) == []
    with pytest.raises(IntegrityError, match="which has passed") as caught:
        node.require(spent, spent.expires_s)
    assert "artifact id" in caught.value.hint


def test_nothing_begins_whose_floor_cannot_be_kept(node: Trusting) -> None:
    assert node.records is not None
    node.records.close()
    with pytest.raises(DiskError):
        node.begin([record(version=5_000_000)], NOW_S)
    assert node.admits(record(version=1_000_000)), "nothing was taken"


def test_each_refusal_is_told_once(node: Trusting) -> None:
    told: list[str] = []
    node.on_refusal = told.append
    forged = record(by=(MALLORY,))
    for _ in range(3):
        assert not node.admits(forged)
    node.admits(msgspec.structs.replace(forged, signatures=()))
    assert told == ["untrusted", "unsigned"]


# --- manifests -----------------------------------------------------------------------------------


def test_signatures_over_a_manifest_are_kept_if_one_is_by_a_trusted_key(node: Trusting) -> None:
    artifact, records = artifact_id_of(b"raw"), node.records
    assert records is not None
    by = tuple(dsse.sign(key, dsse.MANIFEST_TYPE, b"raw") for key in (MALLORY, ALICE))
    with pytest.raises(IntegrityError, match="signed by nobody trusted"):
        node.witness(artifact, b"raw", by[:1])
    with pytest.raises(IntegrityError):
        node.witness(artifact, b"other", by)
    assert records.signatures(artifact) == ()
    node.witness(artifact, b"raw", by)
    assert records.signatures(artifact) == by


# --- changes -------------------------------------------------------------------------------------


async def test_a_running_process_takes_up_changes_and_survives_bad_ones(
    tmp_path: Path, node: Trusting, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module.LOOK_EVERY_S <= 1.0, "changes count within 2 s"
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.01)
    changes: list[int] = []
    watching = asyncio.create_task(node.watch(lambda: changes.append(1)))
    file = TrustFile(tmp_path)

    async def until(count: int) -> None:
        async with asyncio.timeout(10.0):
            while len(changes) < count:
                await asyncio.sleep(0.01)

    file.change(lambda policy: policy.trusting(Anchor(BOB.public)))
    await until(1)
    assert node.admits(record(by=(BOB,))) and node.admits(record())
    file.change(lambda policy: policy.revoking(ALICE.public.id))
    await until(2)
    assert not node.admits(record())
    for spoil in (lambda: file.path.write_text("{"), file.path.unlink):
        spoil()
        await asyncio.sleep(0.1)
        assert not node.admits(record()) and node.admits(record(by=(BOB,)))
    assert len(changes) == 2
    file.change(lambda policy: policy.trusting(Anchor(ALICE.public)))
    await until(3)
    assert node.admits(record()) and not node.admits(record(by=(BOB,)))
    watching.cancel()


# --- names that need new signatures --------------------------------------------------------------

NOW_MS = int(time.time() * 1000)


def named(text: str, number: int, signatory: Signatory, at_s: float) -> Publication:
    of = facts(text)
    bare = Publication(
        reference=f"{of.name}:1",
        artifact=of.artifact,
        version=NOW_MS + number,
        size_bytes=of.size_bytes,
        chunk_count=of.chunk_count,
        published_s=NOW_MS / 1000 + 0.0001234,
        name=of.name,
    )
    return signatory.sign(bare, at_s)


async def test_a_tracker_signs_anew_at_its_start_what_it_gave_and_nothing_else(
    tmp_path: Path,
) -> None:
    """What an older version gave unsigned, what it signed long ago, and what lacks the member key
    of today."""
    settings, now_s = settings_in(tmp_path), NOW_MS / 1000
    life_s = settings.name_life_s
    own, former = publisher_key(tmp_path), MEMBER.public
    given = {
        "bare": named("bare", 1, UNSIGNED, 0.0),
        "late": named("late", 2, Signatory((own, MEMBER), life_s), now_s - 0.6 * life_s),
        "rekeyed": named("rekeyed", 3, Signatory((own, BOB), life_s), now_s),
        "good": named("good", 4, Signatory((own, MEMBER), life_s), now_s - 0.4 * life_s),
        "theirs": named("theirs", 5, Signatory((ALICE,), life_s), now_s - 2 * life_s),
    }
    state = SqliteState(tmp_path / "tracker.sqlite")
    for text, told in given.items():
        state.put_manifest(facts(text), text.encode())
        state.apply([PutPublication(told)])
    state.close()
    with open_trusting(settings, FLEET, tmp_path, publishes=True) as serve:
        assert serve.signatory.keys == (own.public, former)
        async with open_tracker(tmp_path, FLEET, trusting=serve) as tracker:
            names = {of.name: of for of in tracker._state.publications()}
        assert [of for of in names if names[of] == given[of]] == ["good", "theirs"]
        assert list(names) == ["good", "theirs", "bare", "late", "rekeyed"], "by their versions"
        for text in ("bare", "late", "rekeyed"):
            assert serve.signatory.stands(names[text], now_s) and serve.admits(names[text])
            assert names[text].artifact == given[text].artifact
            assert names[text].published_s == pytest.approx(given[text].published_s, abs=0.001)
        async with open_tracker(tmp_path, FLEET, trusting=serve) as tracker:
            assert {of.name: of for of in tracker._state.publications()} == names, "once is enough"
        assert serve.records is not None
        for text in ("bare", "late"):
            kept = serve.records.signatures(facts(text).artifact)
            assert serve.trust.manifest_signers(kept, text.encode()) == (own.public.id, former.id)


def test_what_a_node_of_an_older_version_remembered_counts_where_any_member_does(
    tmp_path: Path, node: Trusting
) -> None:
    lab = trusting_of(settings_in(tmp_path / "lab"), FLEET)
    other = trusting_of(settings_in(tmp_path / "other"), FLEET)
    bare = named("app", 1, UNSIGNED, 0.0)
    assert lab.admits(lab.adopt(bare)) and lab.adopt(bare) == other.adopt(bare)
    assert node.adopt(bare) == bare and not node.admits(bare), "it trusts by name"
    signed = record(by=(MALLORY,))
    assert lab.adopt(signed) == signed and not lab.admits(signed)
