"""The fleet key and what is derived from it."""

import pytest

from strew.errors import ConfigurationError
from strew.fleet import FleetKey, Role, bearer_of
from tests.announce.makers import artifact_id

KEY = FleetKey(bytes(range(32)))
OTHER = FleetKey(bytes(32))


def test_the_text_form_comes_back() -> None:
    assert FleetKey.parse(f"  {KEY.text.upper()}\n") == KEY
    assert len(KEY.text) == 64


@pytest.mark.parametrize("text", ["", "00" * 31, "00" * 33, "zz" * 32, "é" * 64, "00" * 32 + " 0"])
def test_what_is_no_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        FleetKey.parse(text)
    assert not text or text not in str(caught.value)


def test_a_secret_of_another_length_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="31 bytes"):
        FleetKey(bytes(31))


def test_the_secret_is_not_in_its_repr() -> None:
    assert repr(KEY) == "FleetKey()"


def test_parts_of_a_proof_do_not_run_together() -> None:
    proofs = {
        KEY.proof(b"hello", b"ab", b"c"),
        KEY.proof(b"hello", b"a", b"bc"),
        KEY.proof(b"hello", b"abc"),
        KEY.proof(b"helloa", b"bc"),
        OTHER.proof(b"hello", b"ab", b"c"),
    }
    assert len(proofs) == 5


def test_a_proof_holds_only_for_what_it_proves() -> None:
    proof = KEY.proof(b"hello", b"nonce")
    assert KEY.proves(proof, b"hello", b"nonce")
    assert not KEY.proves(proof, b"hello", b"other")
    assert not OTHER.proves(proof, b"hello", b"nonce")
    assert not KEY.proves(b"", b"hello", b"nonce")


def test_each_token_has_its_role() -> None:
    assert KEY.role_of(KEY.viewer_token()) is Role.READ
    assert KEY.role_of(KEY.node_token()) is Role.NODE
    assert KEY.role_of(KEY.publish_token()) is Role.PUBLISH


@pytest.mark.parametrize("token", ["", "n.", "é", "\ud800", "n." + "0" * 64, "x" * 10_000])
def test_other_texts_have_none(token: str) -> None:
    assert KEY.role_of(token) is None
    assert not KEY.reads(token, artifact_id("app"))


def test_another_fleet_has_other_tokens() -> None:
    assert KEY.role_of(OTHER.node_token()) is None
    assert KEY.fingerprint() != OTHER.fingerprint()


def test_a_read_token_opens_one_artifact() -> None:
    token = KEY.read_token(artifact_id("app"))
    assert KEY.reads(token, artifact_id("app"))
    assert not KEY.reads(token, artifact_id("other"))
    assert KEY.role_of(token) is None
    assert KEY.reads(KEY.node_token(), artifact_id("app"))


def test_bearer_tokens_are_read_from_the_header() -> None:
    assert bearer_of("Bearer abc") == "abc"
    assert bearer_of("bearer  abc ") == "abc"
    assert bearer_of("Basic abc") == ""
    assert bearer_of("") == ""
