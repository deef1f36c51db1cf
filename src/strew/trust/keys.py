"""Ed25519 keys (RFC 8032): whose signature is believed, and who signs.

A public key is written `ed25519:` and 43 characters of base64url, which fits a command line; its id
is the first 16 hex digits of its SHA-256. A private key is a file as `openssl genpkey -algorithm
ed25519` writes it: PKCS#8 (RFC 8410) in PEM. Of one that is a byte short OpenSSL says, by way of
`cryptography`, that it has an internal error.
"""

import base64
import contextlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import NewType

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from strew.errors import ConfigurationError, UsageError
from strew.fleet import FleetKey

KeyId = NewType("KeyId", str)
"""16 lower case hex digits; a hint by which to find a key, never a proof."""

KEY_BYTES = 32
PREFIX = "ed25519:"
KEY_ID_CHARS = 16

_TEXT = re.compile(r"ed25519:[A-Za-z0-9_-]{43}", re.ASCII)
_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_SHOWN_CHARS = 60


@dataclass(frozen=True)
class PublicKey:
    """32 bytes by which signatures are checked. Two are equal if their bytes are."""

    raw: bytes

    @classmethod
    def parse(cls, text: str) -> "PublicKey":
        """Read the text form; UsageError names the rule it breaks."""
        raw = b""
        if _TEXT.fullmatch(text):
            raw = base64.urlsafe_b64decode(text.removeprefix(PREFIX) + "=")
        key = cls(raw)
        if len(raw) != KEY_BYTES or key.text != text:  # 43 letters hold two bits more than a key
            shown = text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
            raise UsageError(
                f"{shown!a} is no public key: it is written ed25519: and 43 letters",
                hint="'strew key show FILE' prints that of a key file, 'strew serve' its own",
            )
        return key

    @classmethod
    def from_pem(cls, pem: bytes) -> "PublicKey":
        """Read a public key's file; UsageError."""
        with contextlib.suppress(ValueError, UnsupportedAlgorithm, InternalError):
            key = load_pem_public_key(pem)
            if isinstance(key, Ed25519PublicKey):
                return cls(key.public_bytes(Encoding.Raw, PublicFormat.Raw))
        raise UsageError("not an Ed25519 key in PEM", hint="'strew key new FILE' makes one")

    @cached_property
    def text(self) -> str:
        """`ed25519:` and 43 letters."""
        return PREFIX + base64.urlsafe_b64encode(self.raw).rstrip(b"=").decode()

    @cached_property
    def id(self) -> KeyId:
        """By which signatures name this key."""
        return KeyId(sha256(self.raw).hexdigest()[:KEY_ID_CHARS])

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether this key's owner signed exactly these bytes."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class SigningKey:
    """A private key. It never appears in a repr."""

    seed: bytes = field(repr=False)

    @classmethod
    def from_pem(cls, pem: bytes) -> "SigningKey":
        """Read a private key's file; ConfigurationError."""
        with contextlib.suppress(ValueError, TypeError, UnsupportedAlgorithm, InternalError):
            key = load_pem_private_key(pem, None)
            if isinstance(key, Ed25519PrivateKey):
                return cls(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
        raise ConfigurationError(
            "not an Ed25519 private key in PEM without a password",
            hint="'strew key new FILE' makes one",
        )

    @property
    def pem(self) -> bytes:
        """The file's content. Secret."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @cached_property
    def public(self) -> PublicKey:
        """What others need to check its signatures."""
        return PublicKey(self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, message: bytes) -> bytes:
        """64 bytes; the same for the same message."""
        return self._key.sign(message)


def member_key(fleet: FleetKey) -> SigningKey:
    """The key that every holder of the fleet key has: its signature proves membership, no more."""
    return SigningKey(fleet.proof(b"member signature"))


def is_key_id(text: str) -> bool:
    """Whether a text is written as a key's id."""
    return _ID.fullmatch(text) is not None
