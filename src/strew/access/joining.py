"""How a machine with a join token is given the fleet key, over a connection that others may read.

    machine -> issuer   id, nonce
    issuer  -> machine  challenge
    machine -> issuer   id, nonce, challenge, proof
    issuer  -> machine  the welcome, sealed

    proof  = HMAC(verifier, "proof", id, nonce, challenge)
    sealed = AES-256-GCM under HMAC(verifier, "seal", id, nonce, challenge)

Neither the secret nor the fleet key is ever sent in the clear. Both sides know the verifier, an
HMAC of the token's 256-bit secret (strew.access.tokens): the issuer keeps it, the machine computes
it. So a listener has nothing to guess from, who answers in the issuer's place cannot seal, and a
proof that was recorded is good for nothing, since the token is used up before the answer leaves.
Each pair of nonce and challenge seals once at most: for the same reason the fixed nonce of GCM
(NIST SP 800-38D, section 8) never meets its key again.

The issuer keeps nothing between the two requests: a challenge carries its own time and the issuer's
mark, so that no stranger can fill a table of open ones.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strew.errors import DeniedError

NONCE_BYTES = 32
_DICE_BYTES = 16
_MARK_BYTES = 32
CHALLENGE_BYTES = _DICE_BYTES + 8 + _MARK_BYTES

CHALLENGE_S = 30.0
"""How long a challenge may be answered. Lower: a slow link fails; higher: nothing gained."""

WELCOME_BYTES_MAX = 64 << 10
"""A fleet key and a list of trust anchors of some 60 bytes each."""

TRUST_MAX = 256
"""Trust anchors in a welcome."""

_GCM_NONCE = bytes(12)

TokenId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z", max_length=16)]
Nonce = Annotated[bytes, msgspec.Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
Challenge = Annotated[bytes, msgspec.Meta(min_length=CHALLENGE_BYTES, max_length=CHALLENGE_BYTES)]


class ChallengeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /api/v1/join/challenge; bytes are base64."""

    id: TokenId
    nonce: Nonce


class ChallengeAnswer(msgspec.Struct, frozen=True):
    """What comes back, whether there is such a token or not."""

    challenge: Challenge


class JoinRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /api/v1/join."""

    id: TokenId
    nonce: Nonce
    challenge: Challenge
    proof: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class JoinAnswer(msgspec.Struct, frozen=True):
    """A sealed Welcome."""

    sealed: Annotated[bytes, msgspec.Meta(max_length=WELCOME_BYTES_MAX)]


class Welcome(msgspec.Struct, frozen=True):
    """What a machine needs to take part. `trust`: publishers' public keys, as text."""

    fleet_key: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    trust: Annotated[tuple[str, ...], msgspec.Meta(max_length=TRUST_MAX)] = ()


_welcome_decoder = msgspec.json.Decoder(Welcome)


class Challenges:
    """The issuer's side of the first step. `key` is secret and drawn at each start."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, asked: ChallengeRequest, now: float, dice: bytes) -> bytes:
        """A challenge for this request; `dice` are 16 random bytes, `now` any steady clock."""
        assert len(dice) == _DICE_BYTES
        head = dice + int(now * 1000).to_bytes(8, "big")
        return head + self._mark(head, asked.id, asked.nonce)

    def holds(self, said: JoinRequest, now: float) -> bool:
        """Whether the challenge was made here, for this id and nonce, a short while ago."""
        head, mark = said.challenge[:-_MARK_BYTES], said.challenge[-_MARK_BYTES:]
        if not hmac.compare_digest(mark, self._mark(head, said.id, said.nonce)):
            return False
        return 0 <= now - int.from_bytes(head[_DICE_BYTES:], "big") / 1000 + 0.001 <= CHALLENGE_S

    def _mark(self, head: bytes, token_id: str, nonce: bytes) -> bytes:
        return _mac(self._key, b"challenge", head, token_id.encode(), nonce)


def prove(verifier: bytes, asked: ChallengeRequest, challenge: bytes) -> JoinRequest:
    """The machine's second request."""
    proof = _mac(verifier, b"proof", asked.id.encode(), asked.nonce, challenge)
    return JoinRequest(asked.id, asked.nonce, challenge, proof)


def proves(verifier: bytes, said: JoinRequest) -> bool:
    """Whether whoever said it holds the token, in time that does not depend on it."""
    expected = _mac(verifier, b"proof", said.id.encode(), said.nonce, said.challenge)
    return hmac.compare_digest(said.proof, expected)


def seal(verifier: bytes, said: JoinRequest, welcome: Welcome) -> bytes:
    """The answer. Must be called once for one request: the token must be used up before."""
    key, context = _key_of(verifier, said)
    return AESGCM(key).encrypt(_GCM_NONCE, msgspec.json.encode(welcome), context)


def unseal(verifier: bytes, said: JoinRequest, sealed: bytes) -> Welcome:
    """What the issuer answered; DeniedError if it does not hold the token's verifier."""
    key, context = _key_of(verifier, said)
    try:
        return _welcome_decoder.decode(AESGCM(key).decrypt(_GCM_NONCE, sealed, context))
    except (InvalidTag, ValueError, msgspec.DecodeError):
        raise DeniedError(
            "the answer to the join token is not that of whoever made the token",
            hint="join by the address that 'strew token new' was run for",
        ) from None


def _key_of(verifier: bytes, said: JoinRequest) -> tuple[bytes, bytes]:
    """The key of one answer, and the data it is bound to."""
    key = _mac(verifier, b"seal", said.id.encode(), said.nonce, said.challenge)
    return key, said.id.encode() + said.nonce + said.challenge


def _mac(key: bytes, label: bytes, *parts: bytes) -> bytes:
    mac = hmac.new(key, b"strew join 1", hashlib.sha256)
    for part in (label, *parts):
        mac.update(len(part).to_bytes(8, "big"))
        mac.update(part)
    return mac.digest()
