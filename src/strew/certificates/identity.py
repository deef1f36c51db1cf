"""Who a certificate speaks for: the peer id is the issuer's word, never the request's.

A node's certificate names its peer id as a URI among its subject's alternative names,
`strew:node:` and 32 hex digits (RFC 5280, section 4.2.1.6). That of a person or a script,
`strew:user:` and 16 hex digits, names the first half: each command is a node for a moment, and
several may run at once. A company's CA need not know of this: without such a URI the peer id is a
digest of the subject, which that CA must then give to one machine only.
"""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm

from strew.errors import DeniedError
from strew.messages import PeerId

CERTIFIED = "strew certified"
"""Name of a transport's extra info that tells who the other side is."""

NODE_URI = "strew:node:"
USER_URI = "strew:user:"

NODE_DIGITS = 32
"""All of a peer id: 128 bits."""

USER_DIGITS = 16
"""Half of one: 64 bits tell users of one CA apart, 64 are left to tell their commands apart."""

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InternalError,
    InvalidSignature,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises where bytes are no certificate, request or key, or an odd one. Most of
these classes have no other ancestor than Exception."""

_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Certified:
    """What a certificate proves. `digits` are a whole peer id, or the first half of many."""

    digits: str

    @property
    def is_node(self) -> bool:
        """Whether it stands for one peer id."""
        return len(self.digits) == NODE_DIGITS

    def owns(self, peer: str) -> bool:
        """Whether whoever holds the certificate may call itself `peer`."""
        return len(peer) == NODE_DIGITS and peer.startswith(self.digits)

    def peer_id(self) -> PeerId:
        """The peer id to take: the one, or any of the many."""
        return PeerId(self.digits + secrets.token_hex((NODE_DIGITS - len(self.digits)) // 2))

    def require(self, peer: str) -> None:
        """DeniedError unless it may call itself `peer`."""
        if not self.owns(peer):
            raise DeniedError(
                f"the certificate of {self.digits} does not speak for peer {peer[:NODE_DIGITS]!a}",
                hint="each node needs a certificate of its own: strew key issue NAME --ca DIR",
            )


def require_certified(transport: asyncio.BaseTransport | None, peer: str) -> None:
    """DeniedError unless the certificate of a connection speaks for `peer`; in profile lab there
    is none, and nothing to compare."""
    certified = transport.get_extra_info(CERTIFIED) if transport is not None else None
    if isinstance(certified, Certified):
        certified.require(peer)


def certified_by(certificate: x509.Certificate) -> Certified:
    """What a certificate proves. DeniedError if it names nobody, or several."""
    named = [uri for uri in _uris(certificate) if uri.startswith((NODE_URI, USER_URI))]
    if len(named) > 1:
        raise DeniedError("certificate that names several peers", hint="issue one for each")
    if named:
        digits = named[0].rpartition(":")[2]
        wanted = NODE_DIGITS if named[0].startswith(NODE_URI) else USER_DIGITS
        if len(digits) != wanted or not _HEX.issuperset(digits):
            raise DeniedError(
                f"certificate with the malformed name {named[0][:80]!a}",
                hint=f"{NODE_URI} takes {NODE_DIGITS} hex digits, {USER_URI} {USER_DIGITS}",
            )
        return Certified(digits)
    if not list(certificate.subject):
        raise DeniedError(
            "certificate that names nobody: no strew URI and an empty subject",
            hint="give each machine a subject of its own",
        )
    return Certified(digits_of(b"subject", certificate.subject.public_bytes()))


def certified_by_der(der: bytes) -> Certified:
    """As `certified_by`, of a certificate as it came over the wire."""
    try:
        return certified_by(x509.load_der_x509_certificate(der))
    except UNREADABLE as error:
        raise DeniedError(f"certificate that cannot be read: {error}") from None


def digits_of(label: bytes, *parts: bytes) -> str:
    """A peer id made from what an issuer knows: each part with its length in front, so that no
    two inputs run together to the same bytes."""
    digest = hashlib.sha256(b"strew peer id\0" + label)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:NODE_DIGITS]


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    except UNREADABLE as error:  # two of them, or one that is no such list
        raise DeniedError(f"certificate with unreadable names: {error}") from None
    return names.value.get_values_for_type(x509.UniformResourceIdentifier)
