"""Which publications are believed: by whose signature, for which names, and how old."""

import msgspec
import pytest

from strew.content.pattern import matches
from strew.publication import Publication, Signature
from strew.trust import dsse, policy
from strew.trust.keys import PublicKey, SigningKey
from strew.trust.policy import Anchor, Floor, Trust
from tests.gossip.makers import artifact_id, publication
from tests.trust.makers import ALICE, BOB, MALLORY, MEMBER, YEAR_S, record

APP = Trust([Anchor(ALICE.public, "app:*")], member=MEMBER.public)


def kind_of(trust: Trust, told: Publication) -> str:
    refusal = trust.refusal(told)
    return "" if refusal is None else refusal.kind


# --- signatures ----------------------------------------------------------------------------------


def test_a_name_signed_by_a_key_trusted_for_it_is_believed() -> None:
    assert APP.admits(record())
    assert APP.signers(record(by=(BOB, ALICE))) == (ALICE.public.id,)


@pytest.mark.parametrize(
    "change",
    [
        {"reference": "app:v2"},
        {"artifact": artifact_id("other")},
        {"version": 1_000_001},
        {"size_bytes": 401},
        {"chunk_count": 5},
        {"published_s": 1000.001},
        {"published_s": 1000.0001},
        {"name": "../app.tar"},
        {"expires_s": 1e11},
        {"expires_s": 0.0},
    ],
    ids=str,
)
def test_a_name_of_which_one_field_was_changed_is_not(change: dict[str, object]) -> None:
    assert kind_of(APP, msgspec.structs.replace(record(), **change)) == "untrusted"


def named_as(told: Publication, by: SigningKey) -> Publication:
    """The same signatures, each said to be `by`'s."""
    forged = tuple(Signature(by.public.id, s.value) for s in told.signatures)
    return msgspec.structs.replace(told, signatures=forged)


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (publication(), "unsigned"),
        (record(by=(MALLORY,)), "untrusted"),
        (record("web:v1"), "untrusted"),
        (record("application:v1"), "untrusted"),
        (record(by=(MEMBER,)), "untrusted"),
        (named_as(record(by=(MALLORY,)), ALICE), "untrusted"),
        (named_as(record(), MALLORY), "untrusted"),
    ],
    ids=["none", "foreign", "other name", "longer name", "member", "forged id", "hidden id"],
)
def test_what_nobody_trusted_signed_is_not_believed(told: Publication, kind: str) -> None:
    assert kind_of(APP, told) == kind


def test_a_bad_signature_beside_a_good_one_does_no_harm() -> None:
    good = record()
    bad = Signature(ALICE.public.id, bytes(64))
    for signatures in ((bad, *good.signatures), (*good.signatures, bad), good.signatures * 2):
        assert APP.signers(msgspec.structs.replace(good, signatures=signatures)) == (
            ALICE.public.id,
        )


def test_a_signature_over_a_manifest_is_none_over_a_name() -> None:
    told = record()
    signature = dsse.sign(ALICE, dsse.MANIFEST_TYPE, b"manifest")
    assert not APP.admits(msgspec.structs.replace(told, signatures=(signature,)))
    assert APP.manifest_signers((signature,), b"manifest") == (ALICE.public.id,)
    assert APP.manifest_signers((signature,), b"another") == ()


def test_the_member_key_counts_where_nobody_is_named_and_only_there() -> None:
    lab = Trust(member=MEMBER.public)
    assert lab.admits(record("anything:v1", by=(MEMBER,)))
    assert not lab.admits(record(by=(ALICE,)))
    assert not Trust().admits(record(by=(MEMBER,)))
    lab.change([Anchor(ALICE.public)], ())
    assert not lab.admits(record(by=(MEMBER,)))


def test_a_process_believes_what_it_signs_itself_beside_the_member_key() -> None:
    serve = Trust(member=MEMBER.public, own=[ALICE.public])
    assert serve.admits(record(by=(ALICE,))) and serve.admits(record(by=(MEMBER,)))


def test_several_keys_for_one_name_and_one_key_for_several() -> None:
    trust = Trust([Anchor(ALICE.public, "app"), Anchor(ALICE.public, "lib:*"), Anchor(BOB.public)])
    assert trust.admits(record("app:v1")) and trust.admits(record("lib:v1"))
    assert not trust.admits(record("web:v1"))
    assert trust.admits(record("web:v1", by=(BOB,)))


@pytest.mark.parametrize(
    ("pattern", "reference", "matched"),
    [
        ("*", "team/app:1", True),
        ("app", "app:1", True),
        ("app", "app/x:1", False),
        ("app*", "app/x:1", True),
        ("app:1.?", "app:1.2", True),
        ("App:*", "app:1", False),
    ],
)
def test_patterns_match_as_a_shell_does(pattern: str, reference: str, matched: bool) -> None:
    assert matches(pattern, reference) is matched


# --- changes -------------------------------------------------------------------------------------


def test_a_revoked_key_counts_in_nothing_whoever_trusts_it() -> None:
    trust = Trust(
        [Anchor(ALICE.public), Anchor(BOB.public)], own=[ALICE.public], revoked=[ALICE.public.id]
    )
    assert not trust.admits(record(by=(ALICE,)))
    assert trust.admits(record(by=(ALICE, BOB)))
    trust.change(trust.anchors, [ALICE.public.id, BOB.public.id])
    assert not trust.admits(record(by=(ALICE, BOB)))


def test_when_the_last_key_is_revoked_members_are_not_believed_instead() -> None:
    trust = Trust([Anchor(ALICE.public)], member=MEMBER.public)
    trust.change(trust.anchors, [ALICE.public.id])
    assert not trust.admits(record(by=(ALICE, MEMBER)))


# --- floors --------------------------------------------------------------------------------------


def took(trust: Trust, told: Publication) -> list[Floor]:
    floors = trust.floors_of(told)
    trust.recall(floors)
    return floors


def test_nothing_older_than_what_was_taken_is_believed() -> None:
    trust = Trust([Anchor(ALICE.public)])
    assert took(trust, record(version=10)) == [
        Floor("app:v1", ALICE.public.id, 10, artifact_id("one"))
    ]
    assert kind_of(trust, record(version=9)) == "older"
    assert trust.admits(record(version=10)) and trust.admits(record(version=11))
    assert trust.admits(record("web:v1", version=9))
    assert took(trust, record(version=10)) == []
    assert took(trust, record(version=12)) and not trust.admits(record(version=11))


def test_of_equal_versions_the_greater_id_is_the_newer_as_in_gossip() -> None:
    low, high = sorted(
        (record(artifact=text) for text in ("one", "two")), key=lambda told: told.artifact
    )
    trust = Trust([Anchor(ALICE.public)])
    took(trust, high)
    assert kind_of(trust, low) == "older" and trust.admits(high)


def test_floors_of_another_life_count() -> None:
    trust = Trust([Anchor(ALICE.public)])
    trust.recall([Floor("app:v1", ALICE.public.id, 10, artifact_id("one"))])
    trust.recall([Floor("app:v1", ALICE.public.id, 5, artifact_id("one"))])
    assert kind_of(trust, record(version=9)) == "older"


def test_a_floor_that_a_stolen_key_raised_falls_with_it() -> None:
    trust = Trust([Anchor(ALICE.public), Anchor(BOB.public)])
    took(trust, record(version=5, by=(BOB,)))
    took(trust, record(version=1 << 62, by=(ALICE,)))
    assert kind_of(trust, record(version=6, by=(BOB,))) == "older"
    trust.change(trust.anchors, [ALICE.public.id])
    assert trust.admits(record(version=6, by=(BOB,)))
    assert kind_of(trust, record(version=4, by=(BOB,))) == "older"


# --- expiry and memory ---------------------------------------------------------------------------


def test_a_name_expires_for_whoever_would_begin_to_fetch_and_not_before() -> None:
    told = record(version=1_000_000)
    assert APP.expiry(told, 1000.0 + YEAR_S - 1) is None
    refusal = APP.expiry(told, 1000.0 + YEAR_S)
    assert refusal is not None and refusal.kind == "expired"
    assert APP.admits(told)  # it may be kept and passed on: another's clock may be right
    assert APP.expiry(msgspec.structs.replace(told, expires_s=0.0), 1e12) is None


def test_a_signature_is_checked_once_and_outcomes_do_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked: list[Signature] = []
    holds = dsse.holds

    def counted(signature: Signature, key: PublicKey, kind: str, payload: bytes) -> bool:
        checked.append(signature)
        return holds(signature, key, kind, payload)

    monkeypatch.setattr(dsse, "holds", counted)
    monkeypatch.setattr(policy, "CHECKED_MAX", 2)
    trust = Trust([Anchor(ALICE.public)])
    first, *others = [record(version=version) for version in (1, 2, 3)]
    for _ in range(3):
        assert trust.admits(first)
    assert len(checked) == 1
    assert all(map(trust.admits, others))
    assert trust.admits(first)  # forgotten meanwhile, and right again
    assert len(checked) == 4
