"""A small certificate authority in a folder: one key, one root, no database.

It signs for machines and people of one fleet, for short times. Nothing is ever revoked by list:
a certificate that is not renewed is gone after a week at most, and the fleet key and the bans of
peers act at once. The same name gets the same peer id each time, since the id is a digest of the
authority's public key and the name: no state to lose or to copy.

P-256 with SHA-256 everywhere (FIPS 186-5): signing costs 25 us where Ed25519 takes about the same,
and every TLS library and browser knows it, while browsers know no Ed25519 certificate.
"""

import contextlib
import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from strew.certificates.files import private_bytes, public_bytes, write_private, write_public
from strew.certificates.identity import (
    NODE_URI,
    UNREADABLE,
    USER_DIGITS,
    USER_URI,
    certified_by,
    digits_of,
)
from strew.errors import ConfigurationError, DeniedError, UsageError

KEY_FILE = "ca.key"
CERTIFICATE_FILE = "ca.pem"

AUTHORITY_FOR_S = 3650 * 86_400.0
"""Ten years for the root. Shorter: every machine needs a new CA file sooner; longer: a key that
leaked unnoticed is believed for longer."""

ISSUED_FOR_S = 7 * 86_400.0
"""A week for what it issues. Shorter: a machine that is off, or cannot renew, is out sooner;
longer: so is a stolen certificate good for longer."""

ISSUED_FOR_MAX_S = 398 * 86_400.0
"""Thirteen months, what browsers accept at most (CA/Browser Forum's limit of 2020)."""

CLOCK_SKEW_S = 300.0
"""Certificates begin so long before now, those of under an hour a tenth of their time: clocks of a
fleet differ. More would only hide a clock that is wrong."""

SKEW_PARTS = 10

NAME_CHARS_MAX = 64
"""Of a common name (RFC 5280, appendix A: ub-common-name)."""

HOSTS_MAX = 32

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
"""In every node's certificate: commands on its own machine reach it there, and nobody else can."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and, if the authority made it, its private key; both PEM."""

    certificate: bytes
    key: bytes
    peer: str
    until: datetime.datetime


class Authority:
    """See the module. `open` or `make` one."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self.certificate = certificate

    @classmethod
    def make(cls, folder: Path, name: str, now: datetime.datetime) -> "Authority":
        """A new one, kept in `folder`. UsageError if there is one already; DiskError."""
        for file in (KEY_FILE, CERTIFICATE_FILE):
            if os.path.lexists(folder / file):
                raise UsageError(
                    f"{str(folder / file)!r} exists already: it is not replaced",
                    hint="name another folder, or remove it if nothing trusts it any more",
                )
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _common_name(name))])
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(seconds=CLOCK_SKEW_S))
            .not_valid_after(now + datetime.timedelta(seconds=AUTHORITY_FOR_S))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(own, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        write_private(folder / KEY_FILE, _key_pem(key))
        write_public(
            folder / CERTIFICATE_FILE, certificate.public_bytes(serialization.Encoding.PEM)
        )
        return cls(key, certificate)

    @classmethod
    def open(cls, folder: Path) -> "Authority":
        """The one in `folder`. ConfigurationError if there is none, or its files do not fit."""
        key_path, path = folder / KEY_FILE, folder / CERTIFICATE_FILE
        hint = f"make one with: strew key ca {folder}"
        try:
            key = serialization.load_pem_private_key(private_bytes(key_path, hint), None)
            certificate = x509.load_pem_x509_certificate(public_bytes(path, hint))
        except UNREADABLE:
            raise ConfigurationError(
                f"{str(folder)!r}: {KEY_FILE} or {CERTIFICATE_FILE} is not what it should be",
                hint="restore both from a copy",
            ) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or (
            key.public_key() != certificate.public_key()
        ):
            raise ConfigurationError(
                f"{str(key_path)!r} is not the key of {str(path)!r}", hint="restore both"
            )
        return cls(key, certificate)

    def peer_of(self, name: str, *, is_user: bool = False) -> str:
        """The peer id (of a user the first half) that `name` always gets from this authority."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if is_user:
            return digits_of(b"user", public, name.encode())[:USER_DIGITS]
        return digits_of(b"node", public, name.encode())

    def issue(
        self,
        name: str,
        hosts: Sequence[str],
        now: datetime.datetime,
        *,
        for_s: float = ISSUED_FOR_S,
        is_user: bool = False,
    ) -> Issued:
        """A new key and its certificate for the machine, or the person, called `name`.

        `hosts` are the names and addresses others reach it by. UsageError.
        """
        common = _common_name(name)
        peer = self.peer_of(common, is_user=is_user)
        uri = x509.UniformResourceIdentifier((USER_URI if is_user else NODE_URI) + peer)
        names: list[x509.GeneralName] = [uri]
        if not is_user:
            names += map(_host, dict.fromkeys((*hosts, *LOOPBACK_HOSTS)))
        if len(names) > HOSTS_MAX:
            raise UsageError(f"{len(names)} names in one certificate, at most {HOSTS_MAX}")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        certificate = self._sign(
            subject, key.public_key(), x509.SubjectAlternativeName(names), now, for_s
        )
        return Issued(
            certificate.public_bytes(serialization.Encoding.PEM),
            _key_pem(key),
            peer,
            certificate.not_valid_after_utc,
        )

    def renew(self, request: bytes, current: x509.Certificate, now: datetime.datetime) -> bytes:
        """A certificate like `current`, which whoever asks has just proved to hold, for the public
        key of a request (PKCS #10, PEM). Of the request only the key counts, and that it is signed
        by it: names are those the authority gave before. DeniedError, UsageError."""
        try:
            asked = x509.load_pem_x509_csr(request)
            public = asked.public_key()
            is_own = asked.is_signature_valid
        except UNREADABLE:
            raise UsageError("the request is no certificate request (PKCS #10, PEM)") from None
        known = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
        if not is_own or not isinstance(public, known):
            raise UsageError("the certificate request is not signed by its own key")
        if not self.issued(current):
            raise DeniedError(
                "the certificate to renew is of another authority",
                hint="renew it where it was issued",
            )
        certified_by(current)
        names = current.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        life_s = (current.not_valid_after_utc - current.not_valid_before_utc).total_seconds()
        for_s = life_s - min(CLOCK_SKEW_S, life_s / (SKEW_PARTS + 1))
        renewed = self._sign(current.subject, public, names, now, for_s)
        return renewed.public_bytes(serialization.Encoding.PEM)

    def issued(self, certificate: x509.Certificate) -> bool:
        """Whether a certificate is this authority's."""
        with contextlib.suppress(*UNREADABLE):
            certificate.verify_directly_issued_by(self.certificate)
            return True
        return False

    def _sign(
        self,
        subject: x509.Name,
        public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey,
        names: x509.SubjectAlternativeName,
        now: datetime.datetime,
        for_s: float,
    ) -> x509.Certificate:
        if not 0 < for_s <= ISSUED_FOR_MAX_S:
            raise UsageError(f"a certificate lasts at most {ISSUED_FOR_MAX_S / 86_400:.0f} days")
        skew_s = min(CLOCK_SKEW_S, for_s / SKEW_PARTS)
        until = now + datetime.timedelta(seconds=for_s)
        ca_until = self.certificate.not_valid_after_utc
        if ca_until <= now:
            raise ConfigurationError("the authority's own certificate is no longer valid")
        issuer = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        usage = x509.ExtendedKeyUsage(
            [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        )
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.certificate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(seconds=skew_s))
            .not_valid_after(min(until, ca_until))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(usage, critical=False)
            .add_extension(names, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer.value),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )


def request_of(key_pem: bytes) -> bytes:
    """A certificate request for a private key (PKCS #10, PEM). ConfigurationError."""
    try:
        key = serialization.load_pem_private_key(key_pem, None)
    except UNREADABLE:
        raise ConfigurationError("the private key is not PEM without a passphrase") from None
    alone = ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
    if not isinstance(key, alone | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ConfigurationError("the private key is of a kind that TLS does not use")
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    signed = request.sign(key, None if isinstance(key, alone) else hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def _common_name(name: str) -> str:
    if not name or len(name) > NAME_CHARS_MAX or not name.isprintable() or name != name.strip():
        raise UsageError(
            f"{name[:NAME_CHARS_MAX]!r} is no name for a certificate",
            hint=f"up to {NAME_CHARS_MAX} printable characters, such as node-7.example.com",
        )
    return name


def _host(text: str) -> x509.GeneralName:
    """An address or a DNS name, as others write it behind --join. UsageError."""
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(text))
    labels = text.split(".")
    good = all(
        0 < len(label) <= 63
        and label.isascii()
        and label.replace("-", "").isalnum()
        and not label.startswith("-")
        and not label.endswith("-")
        for label in labels
    )
    if not good or len(text) > 253 or labels[-1].isdigit():
        raise UsageError(
            f"{text[:80]!r} is neither a host name nor an IP address",
            hint="without port, such as --host 10.0.0.7 --host node-7.example.com",
        )
    return x509.DNSName(text.lower())


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
