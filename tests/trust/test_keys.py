"""Keys: their text, their files, and what they sign."""

import pytest

from strew.errors import ConfigurationError, UsageError
from strew.fleet import FleetKey
from strew.trust.keys import PublicKey, SigningKey, is_key_id, member_key
from tests.trust.makers import ALICE, BOB

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
"""RFC 8032, section 7.1, test 1."""
TEXT = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
SIGNATURE = bytes.fromhex(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
    "d25bf5f0595bbe24655141438e7a100b"
)


def test_keys_are_those_of_the_rfc() -> None:
    key = SigningKey(SEED)
    assert key.public.text == TEXT
    assert key.sign(b"") == SIGNATURE
    assert key.public.verifies(SIGNATURE, b"")
    assert not key.public.verifies(SIGNATURE, b" ")
    assert not ALICE.public.verifies(SIGNATURE, b"")
    assert PublicKey.parse(TEXT) == key.public


def test_an_id_is_the_start_of_the_keys_sha256() -> None:
    assert SigningKey(SEED).public.id == "21fe31dfa154a261"
    assert is_key_id("21fe31dfa154a261")
    assert not is_key_id("21FE31DFA154A261") and not is_key_id("21fe31dfa154a26")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ed25519:",
        TEXT[:-1],
        TEXT + "A",
        TEXT.replace("ed25519", "rsa"),
        TEXT[:-1] + "p",  # the two bits beyond the key are set: a second text for one key
        TEXT.replace("_", "/"),
        "\u202e" * 51,
    ],
)
def test_what_is_no_key_is_told_so(text: str) -> None:
    with pytest.raises(UsageError, match="is no public key"):
        PublicKey.parse(text)


def test_a_private_key_is_a_file_of_openssls() -> None:
    assert SigningKey.from_pem(ALICE.pem) == ALICE
    assert ALICE.pem.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert repr(ALICE) == "SigningKey()"
    for pem in (b"", b"not a key", ALICE.pem[:60], PUBLIC_PEM.encode()):
        with pytest.raises(ConfigurationError, match="not an Ed25519 private key"):
            SigningKey.from_pem(pem)


PUBLIC_PEM = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
"""


def test_a_public_key_may_be_a_file_too() -> None:
    assert PublicKey.from_pem(PUBLIC_PEM.encode()).text == TEXT
    with pytest.raises(UsageError, match="not an Ed25519 key"):
        PublicKey.from_pem(ALICE.pem)


def test_every_holder_of_the_fleet_key_has_the_same_member_key_and_nobody_else() -> None:
    fleet, other = FleetKey(bytes(32)), FleetKey(bytes(31) + b"\1")
    assert member_key(fleet) == member_key(FleetKey(bytes(32)))
    assert member_key(fleet).public != member_key(other).public
    assert member_key(fleet).seed not in (fleet.secret, ALICE.seed, BOB.seed)
