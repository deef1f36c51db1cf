"""The exchange by which a machine is given the fleet key."""

from __future__ import annotations

import msgspec
import pytest

from strew.access.joining import (
    CHALLENGE_S,
    ChallengeRequest,
    Challenges,
    JoinRequest,
    Welcome,
    prove,
    proves,
    seal,
    unseal,
)
from strew.access.tokens import id_of, verifier_of
from strew.errors import DeniedError

TOKEN = "0123456789abcdef." + "S" * 43
VERIFIER = verifier_of(TOKEN)
ASKED = ChallengeRequest(id_of(TOKEN), bytes(range(32)))
KEY_TEXT = "ab" * 32
WELCOME = Welcome(KEY_TEXT, ("ed25519:abc",))


def issuer() -> Challenges:
    return Challenges(b"k" * 32)


def test_the_way_of_a_join() -> None:
    challenge = issuer().make(ASKED, 100.0, b"d" * 16)
    said = prove(VERIFIER, ASKED, challenge)
    assert issuer().holds(said, 100.5) and proves(VERIFIER, said)
    assert unseal(VERIFIER, said, seal(VERIFIER, said, WELCOME)) == WELCOME


def test_nothing_that_travels_holds_the_secret_or_the_key() -> None:
    challenge = issuer().make(ASKED, 100.0, b"d" * 16)
    said = prove(VERIFIER, ASKED, challenge)
    sent = msgspec.json.encode(ASKED) + challenge + msgspec.json.encode(said)
    sent += seal(VERIFIER, said, WELCOME)
    for secret in (b"S" * 43, VERIFIER, KEY_TEXT.encode(), bytes.fromhex(KEY_TEXT), b"ed25519"):
        assert secret not in sent


@pytest.mark.parametrize("field", ["id", "nonce", "challenge", "proof"])
def test_a_proof_holds_for_one_exchange_alone(field: str) -> None:
    said = prove(VERIFIER, ASKED, issuer().make(ASKED, 100.0, b"d" * 16))
    value = getattr(said, field)
    changed = "f" * 16 if isinstance(value, str) else bytes([value[0] ^ 1]) + value[1:]
    other = msgspec.structs.replace(said, **{field: changed})
    assert not (proves(VERIFIER, other) and issuer().holds(other, 100.0))
    assert not proves(VERIFIER, other)


def test_a_proof_by_another_token_is_none() -> None:
    said = prove(verifier_of(TOKEN[:-1] + "T"), ASKED, issuer().make(ASKED, 100.0, b"d" * 16))
    assert not proves(VERIFIER, said)


@pytest.mark.parametrize(
    ("after_s", "holds"), [(0.0, True), (CHALLENGE_S - 1, True), (40.0, False)]
)
def test_a_challenge_holds_for_a_while(after_s: float, holds: bool) -> None:
    said = prove(VERIFIER, ASKED, issuer().make(ASKED, 100.0, b"d" * 16))
    assert issuer().holds(said, 100.0 + after_s) is holds


def test_a_challenge_of_ones_own_making_does_not_hold() -> None:
    forged = Challenges(b"x" * 32).make(ASKED, 100.0, b"d" * 16)
    assert not issuer().holds(prove(VERIFIER, ASKED, forged), 100.0)


def test_a_welcome_by_who_does_not_hold_the_token_is_refused() -> None:
    said = prove(VERIFIER, ASKED, issuer().make(ASKED, 100.0, b"d" * 16))
    false = seal(verifier_of(TOKEN[:-1] + "T"), said, WELCOME)
    for sealed in (false, b"", b"x" * 100, seal(VERIFIER, said, WELCOME)[:-1]):
        with pytest.raises(DeniedError, match="whoever made the token"):
            unseal(VERIFIER, said, sealed)


def test_a_recorded_welcome_does_not_fit_another_exchange() -> None:
    first = prove(VERIFIER, ASKED, issuer().make(ASKED, 100.0, b"d" * 16))
    second = prove(VERIFIER, ASKED, issuer().make(ASKED, 100.0, b"e" * 16))
    with pytest.raises(DeniedError):
        unseal(VERIFIER, second, seal(VERIFIER, first, WELCOME))


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"id": "0123456789abcdef", "nonce": "AA=="}',
        b'{"id": "../../../etc/pass", "nonce": ""}',
        b'{"id": 5}',
        b"[]",
    ],
)
def test_requests_of_another_form_are_not_read(body: bytes) -> None:
    for kind in (ChallengeRequest, JoinRequest):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(body, type=kind)
