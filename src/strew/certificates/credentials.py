"""What a process of profile strict proves itself with: CA file, certificate and key, and contexts.

All three files are checked before anything listens or dials: a mistake is told at the start, by the
name of the file and the remedy, not by other machines' refusals a week later. Loading them again
makes new contexts; connections that stand keep theirs, so that a renewal cuts nothing.

TLS 1.3 alone (RFC 8446), both sides prove themselves, and no session is resumed: every connection
shows its certificate.
"""

import contextlib
import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from strew.certificates.files import private_bytes, public_bytes
from strew.certificates.identity import UNREADABLE, Certified, certified_by
from strew.errors import ConfigurationError, DeniedError

RENEW_AT_RATIO = 2 / 3
"""Of its life, when a certificate is renewed. Lower: more signing; higher: less time to mend what
keeps it from being renewed (of a week, two days and eight hours are left)."""

CHAIN_MAX = 8
"""Certificates between a node's own and a CA of its file."""


@dataclass(frozen=True, slots=True)
class Files:
    """The three files, as the settings tls-ca, tls-cert and tls-key name them."""

    ca: Path
    certificate: Path
    key: Path

    def stamp(self) -> tuple[object, ...]:
        """Differs once one of the files was written or replaced."""
        stamps: list[object] = []
        for path in (self.ca, self.certificate, self.key):
            try:
                found = path.stat()
            except OSError:
                stamps.append(None)  # in the middle of being replaced
            else:
                stamps.append((found.st_mtime_ns, found.st_ino, found.st_size))
        return tuple(stamps)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Loaded and checked. `server` wants a client certificate; `named` checks the address that was
    dialled against the certificate found there, for addresses a person wrote; `met` does not, for
    those other machines told: who is there is the certificate's word."""

    certified: Certified
    certificate: x509.Certificate
    key_pem: bytes
    server: ssl.SSLContext
    named: ssl.SSLContext
    met: ssl.SSLContext

    @property
    def renew_at_s(self) -> float:
        """Unix time from which it should be renewed."""
        begins_s = self.certificate.not_valid_before_utc.timestamp()
        return begins_s + RENEW_AT_RATIO * (self.ends_s - begins_s)

    @property
    def ends_s(self) -> float:
        """Unix time from which nobody accepts it."""
        return self.certificate.not_valid_after_utc.timestamp()


def load(files: Files, now: datetime.datetime) -> Credentials:
    """Read and check all files. ConfigurationError names the file, its fault, and the remedy."""
    hint = "it is what 'strew key ca' and 'strew key issue' make, or your company's CA"
    authorities = _certificates(files.ca, public_bytes(files.ca, hint))
    chain = _certificates(files.certificate, public_bytes(files.certificate, hint))
    own = chain[0]
    key_pem = private_bytes(files.key, hint)
    _check_key(files, own, key_pem)
    _check_dates(files.certificate, own, now)
    _check_purpose(files.certificate, own)
    if not _leads_to(own, chain[1:], authorities):
        raise ConfigurationError(
            f"certificate {str(files.certificate)!r} was not issued by a CA in {str(files.ca)!r}",
            hint="give the CA file of the authority that issued it",
        )
    try:
        certified = certified_by(own)
    except DeniedError as error:
        raise ConfigurationError(
            f"{str(files.certificate)!r}: {error.message}", hint=error.hint
        ) from None
    return Credentials(
        certified,
        own,
        key_pem,
        _context(files, ssl.PROTOCOL_TLS_SERVER),
        _context(files, ssl.PROTOCOL_TLS_CLIENT, checks_address=True),
        _context(files, ssl.PROTOCOL_TLS_CLIENT),
    )


def _certificates(path: Path, raw: bytes) -> list[x509.Certificate]:
    with contextlib.suppress(*UNREADABLE):
        return x509.load_pem_x509_certificates(raw)
    raise ConfigurationError(
        f"{str(path)!r} holds no certificate in PEM", hint="it begins with BEGIN CERTIFICATE"
    )


def _check_key(files: Files, own: x509.Certificate, key_pem: bytes) -> None:
    try:
        key = serialization.load_pem_private_key(key_pem, None)
    except UNREADABLE:
        raise ConfigurationError(
            f"{str(files.key)!r} holds no private key in PEM without a passphrase",
            hint="openssl pkey -in IT -out NEW removes a passphrase",
        ) from None
    if key.public_key() != own.public_key():
        raise ConfigurationError(
            f"private key {str(files.key)!r} does not belong to certificate "
            f"{str(files.certificate)!r}",
            hint="name the two files that were issued together",
        )


def _check_dates(path: Path, own: x509.Certificate, now: datetime.datetime) -> None:
    if now < own.not_valid_before_utc:
        raise ConfigurationError(
            f"certificate {str(path)!r} is not valid before {own.not_valid_before_utc:%F %T} UTC",
            hint="is this machine's clock right?",
        )
    if now >= own.not_valid_after_utc:
        raise ConfigurationError(
            f"certificate {str(path)!r} expired at {own.not_valid_after_utc:%F %T} UTC",
            hint="issue a new one: strew key issue NAME --ca DIR",
        )


def _check_purpose(path: Path, own: x509.Certificate) -> None:
    """A node answers and asks with one certificate: where purposes are named, both must be."""
    try:
        usage = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    wanted = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    if not wanted <= set(usage):
        raise ConfigurationError(
            f"certificate {str(path)!r} is not for TLS servers and TLS clients alike",
            hint="issue it with both purposes (serverAuth and clientAuth)",
        )


def _leads_to(
    own: x509.Certificate, between: list[x509.Certificate], authorities: list[x509.Certificate]
) -> bool:
    """Whether issuers lead from a certificate to one of the CA file."""
    current = own
    for _ in range(CHAIN_MAX):
        if current in authorities or any(_issued(current, by) for by in authorities):
            return True
        above = next((by for by in between if by != current and _issued(current, by)), None)
        if above is None:
            return False
        current = above
    return False


def _issued(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    with contextlib.suppress(*UNREADABLE):
        certificate.verify_directly_issued_by(by)
        return True
    return False


def _context(files: Files, protocol: int, *, checks_address: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = checks_address
    context.verify_mode = ssl.CERT_REQUIRED
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    try:
        context.load_verify_locations(cafile=files.ca)
        context.load_cert_chain(files.certificate, files.key)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"TLS refuses {files.ca}, {files.certificate} or {files.key}: {error}",
            hint="issue them anew: strew key issue NAME --ca DIR",
        ) from None
    return context
