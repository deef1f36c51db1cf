"""DSSE, Dead Simple Signing Envelope 1.0 (https://github.com/secure-systems-lab/dsse).

What is signed is PAE(type, payload): both with their lengths in front, so that bytes signed as one
thing are never taken for another. The JSON form is what tools of others read. Whoever opens an
envelope must verify the payload's bytes and then use those very bytes.
"""

from typing import Annotated

import msgspec

from strew.errors import IntegrityError
from strew.publication import SIGNATURES_MAX, Signature
from strew.trust.keys import KeyId, PublicKey, SigningKey

NAME_TYPE = "application/vnd.strew.name+json"
MANIFEST_TYPE = "application/vnd.strew.manifest"


class _Signed(msgspec.Struct, frozen=True):
    sig: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
    keyid: Annotated[str, msgspec.Meta(max_length=128)] = ""


class _Envelope(msgspec.Struct, frozen=True, rename={"kind": "payloadType"}):
    payload: bytes
    kind: Annotated[str, msgspec.Meta(max_length=255)]
    signatures: Annotated[
        tuple[_Signed, ...], msgspec.Meta(min_length=1, max_length=SIGNATURES_MAX)
    ]


class Opened(msgspec.Struct, frozen=True):
    """An envelope that was read, and not verified yet."""

    kind: str
    payload: bytes
    signatures: tuple[Signature, ...]


_decoder = msgspec.json.Decoder(_Envelope)


def pae(kind: str, payload: bytes) -> bytes:
    """Pre-authentication encoding: the bytes that are signed."""
    type_bytes = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(type_bytes), type_bytes, len(payload), payload)


def sign(key: SigningKey, kind: str, payload: bytes) -> Signature:
    """The key's signature over a payload of this type."""
    return Signature(key.public.id, key.sign(pae(kind, payload)))


def holds(signature: Signature, key: PublicKey, kind: str, payload: bytes) -> bool:
    """Whether the signature is this key's, over exactly this payload of this type."""
    return key.verifies(signature.value, pae(kind, payload))


def envelope(kind: str, payload: bytes, signatures: tuple[Signature, ...]) -> bytes:
    """The JSON form."""
    signed = tuple(_Signed(signature.value, signature.key) for signature in signatures)
    return msgspec.json.encode(_Envelope(payload, kind, signed))


def open_envelope(body: bytes) -> Opened:
    """Read the JSON form strictly; IntegrityError names the rule it breaks. Nothing of it is
    verified yet; a `keyid` of another form than ours is that of no key we know."""
    try:
        read = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(f"bad envelope: {error}") from None
    signatures = tuple(Signature(KeyId(signed.keyid), signed.sig) for signed in read.signatures)
    return Opened(read.kind, read.payload, signatures)
