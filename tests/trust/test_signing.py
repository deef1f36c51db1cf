"""What a process signs, and when it need not."""

import msgspec
import pytest

from strew.trust.keys import SigningKey
from strew.trust.policy import Anchor, Trust
from strew.trust.signing import UNSIGNED, Signatory
from tests.gossip.makers import publication
from tests.trust.makers import ALICE, BOB, MEMBER

LIFE_S = 1000.0
BOTH = Signatory((ALICE, MEMBER), LIFE_S)


def test_all_keys_of_a_process_sign() -> None:
    told = BOTH.sign(publication(version=5_000), 6.0)
    assert [of.key for of in told.signatures] == [ALICE.public.id, MEMBER.public.id]
    assert (told.published_s, told.expires_s) == (5.0, 6.0 + LIFE_S)
    for key in (ALICE, MEMBER):
        assert Trust([Anchor(key.public)]).admits(told)
    assert BOTH.keys == (ALICE.public, MEMBER.public)


def test_what_others_signed_is_not_kept() -> None:
    told = Signatory((BOB,), LIFE_S).sign(publication(), 0.0)
    assert [of.key for of in BOTH.sign(told, 0.0).signatures] == [ALICE.public.id, MEMBER.public.id]


def test_a_manifest_is_signed_as_its_bytes_are() -> None:
    trust = Trust([Anchor(ALICE.public)])
    assert trust.manifest_signers(BOTH.sign_manifest(b"raw"), b"raw") == (ALICE.public.id,)
    assert trust.manifest_signers(BOTH.sign_manifest(b"raw"), b"row") == ()


def test_who_has_no_key_signs_nothing_and_asks_for_nothing() -> None:
    told = publication(version=1)
    assert UNSIGNED.sign(told, 1.0) is told
    assert UNSIGNED.sign_manifest(b"raw") == ()
    assert UNSIGNED.stands(told, 1e12)


@pytest.mark.parametrize(
    ("by", "after_s", "stands"),
    [
        ((ALICE, MEMBER), 0.0, True),
        ((ALICE, MEMBER, BOB), 0.0, True),
        ((ALICE, MEMBER), LIFE_S / 2 - 1, True),
        ((ALICE, MEMBER), LIFE_S / 2, False),
        ((MEMBER,), 0.0, False),
        ((BOB, MEMBER), 0.0, False),
        ((), 0.0, False),
    ],
)
def test_a_name_stands_if_it_bears_these_signatures_and_has_time_left(
    by: tuple[SigningKey, ...], after_s: float, stands: bool
) -> None:
    told = Signatory(by, LIFE_S).sign(publication(version=5_000), 5.0)
    assert BOTH.stands(told, 5.0 + after_s) is stands


def test_one_that_never_expires_stands() -> None:
    told = msgspec.structs.replace(BOTH.sign(publication(), 5.0), expires_s=0.0)
    assert BOTH.stands(told, 1e11)


def test_a_process_vouches_for_what_one_of_its_keys_signed() -> None:
    theirs = Signatory((ALICE, BOB), LIFE_S).sign(publication(), 5.0)
    assert BOTH.vouches(theirs) and not Signatory((MEMBER,), LIFE_S).vouches(theirs)
    assert not BOTH.vouches(msgspec.structs.replace(theirs, version=7))
    assert not BOTH.vouches(publication())
