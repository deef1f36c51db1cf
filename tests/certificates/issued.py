"""Certificates made on the spot: by strew's own authority, and by a company's."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from strew.certificates.authority import CERTIFICATE_FILE, Authority
from strew.certificates.credentials import Credentials, Files, load
from strew.certificates.files import write_private, write_public

WEEK_S = 7 * 86_400.0


def utc(offset_s: float = 0.0) -> datetime.datetime:
    """Now, or some time from now."""
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=offset_s)


class Issuer:
    """strew's authority in a folder, and what it issued there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority.make(folder, "test", utc())

    @property
    def ca(self) -> Path:
        return self.folder / CERTIFICATE_FILE

    def files(
        self,
        name: str,
        *hosts: str,
        is_user: bool = False,
        for_s: float = WEEK_S,
        at_s: float = 0.0,
    ) -> Files:
        """A certificate and key for `name`, issued now or at another time."""
        issued = self.authority.issue(name, hosts, utc(at_s), for_s=for_s, is_user=is_user)
        return self.put(name, issued.certificate, issued.key)

    def put(self, name: str, certificate: bytes, key: bytes) -> Files:
        files = Files(self.ca, self.folder / f"{name}.pem", self.folder / f"{name}.key")
        write_public(files.certificate, certificate)
        write_private(files.key, key)
        return files

    def named(self, peer: str) -> Credentials:
        """For a node of this very peer id, as no name would give it."""
        with mock.patch.object(Authority, "peer_of", lambda *args, **more: peer):
            return self.credentials(peer)

    def credentials(self, name: str, *hosts: str, is_user: bool = False) -> Credentials:
        return load(self.files(name, *hosts, is_user=is_user), utc())


@dataclass(frozen=True)
class Signed:
    """A certificate of a CA that knows nothing of strew, with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )


BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


def company(
    common_name: str,
    by: Signed | None = None,
    *,
    is_ca: bool = False,
    uses: Sequence[x509.ObjectIdentifier] = BOTH,
    names: Sequence[x509.GeneralName] = (),
) -> Signed:
    """A root (without `by`), an intermediate CA, or a machine's certificate. An empty common name
    is an empty subject."""
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    subject = x509.Name(attributes)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utc(-60))
        .not_valid_after(utc(3600))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if not is_ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Signed(builder.sign(by.key if by else key, hashes.SHA256()), key)
