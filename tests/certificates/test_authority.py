"""A small CA: what it makes, issues and renews."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from strew.certificates.authority import (
    CERTIFICATE_FILE,
    CLOCK_SKEW_S,
    ISSUED_FOR_MAX_S,
    KEY_FILE,
    Authority,
    request_of,
)
from strew.certificates.identity import certified_by
from strew.errors import ConfigurationError, DeniedError, UsageError
from tests.certificates.issued import WEEK_S, Issuer, company, utc


def names_in(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "ca")


def test_it_is_made_once_and_opened_again(issuer: Issuer) -> None:
    assert Authority.open(issuer.folder).certificate == issuer.authority.certificate
    key, root = issuer.folder / KEY_FILE, issuer.folder / CERTIFICATE_FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(root.stat().st_mode) == 0o644
    with pytest.raises(UsageError, match="exists already"):
        Authority.make(issuer.folder, "again", utc())


def test_it_signs_machines_and_no_further_authorities(issuer: Issuer) -> None:
    constraints = issuer.authority.certificate.extensions.get_extension_for_class(
        x509.BasicConstraints
    ).value
    assert constraints.ca and constraints.path_length == 0
    issued = issuer.authority.issue("box", (), utc())
    own = x509.load_pem_x509_certificate(issued.certificate)
    assert not own.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert issuer.authority.issued(own)


def test_a_node_has_its_peer_id_its_addresses_and_loopback(issuer: Issuer) -> None:
    issued = issuer.authority.issue("box", ["10.0.0.7", "Box.Example.com", "fd00::7"], utc())
    own = x509.load_pem_x509_certificate(issued.certificate)
    assert certified_by(own).digits == issued.peer
    assert names_in(own) == [
        f"strew:node:{issued.peer}",
        *("10.0.0.7", "box.example.com", "fd00::7"),
        *("localhost", "127.0.0.1", "::1"),
    ]
    life = own.not_valid_after_utc - own.not_valid_before_utc
    assert life.total_seconds() == WEEK_S + CLOCK_SKEW_S
    assert load_pem_private_key(issued.key, None).public_key() == own.public_key()


def test_the_same_name_is_the_same_peer_of_this_authority_alone(
    issuer: Issuer, tmp_path: Path
) -> None:
    peer = issuer.authority.issue("box", (), utc()).peer
    assert Authority.open(issuer.folder).issue("box", ["10.0.0.1"], utc()).peer == peer
    assert issuer.authority.issue("box2", (), utc()).peer != peer
    assert Issuer(tmp_path / "other").authority.issue("box", (), utc()).peer != peer
    user = issuer.authority.issue("box", (), utc(), is_user=True).peer
    assert len(user) == 16 and not peer.startswith(user)


@pytest.mark.parametrize("name", ["", " box", "a" * 65, "a\nb", "\0"])
def test_a_name_that_no_certificate_can_have_is_refused(issuer: Issuer, name: str) -> None:
    with pytest.raises(UsageError, match="name for a certificate"):
        issuer.authority.issue(name, (), utc())


@pytest.mark.parametrize(
    "host", ["", "10.0.0.7:7300", "a b", "-a", "a..b", "300.1.1.1", "*.example.com", "a" * 64, "ü"]
)
def test_a_host_that_nobody_can_dial_is_refused(issuer: Issuer, host: str) -> None:
    with pytest.raises(UsageError, match="host name"):
        issuer.authority.issue("box", [host], utc())


@pytest.mark.parametrize("for_s", [0.0, -1.0, ISSUED_FOR_MAX_S + 1])
def test_a_life_without_end_is_refused(issuer: Issuer, for_s: float) -> None:
    with pytest.raises(UsageError, match="at most"):
        issuer.authority.issue("box", (), utc(), for_s=for_s)


def test_nothing_outlives_its_authority(issuer: Issuer) -> None:
    root = issuer.authority.certificate
    almost = root.not_valid_after_utc.timestamp() - utc().timestamp() - 60
    issued = issuer.authority.issue("box", (), utc(almost))
    assert issued.until == root.not_valid_after_utc
    with pytest.raises(ConfigurationError, match="no longer valid"):
        issuer.authority.issue("box", (), utc(almost + 61))


@pytest.mark.parametrize("broken", [KEY_FILE, CERTIFICATE_FILE])
def test_a_folder_that_lacks_a_file_or_has_another_says_which(
    issuer: Issuer, tmp_path: Path, broken: str
) -> None:
    (issuer.folder / broken).write_text("nonsense")
    with pytest.raises(ConfigurationError, match="not what it should be"):
        Authority.open(issuer.folder)
    (issuer.folder / broken).write_bytes((Issuer(tmp_path / "b").folder / broken).read_bytes())
    with pytest.raises(ConfigurationError, match="is not the key of"):
        Authority.open(issuer.folder)
    (issuer.folder / broken).unlink()
    with pytest.raises(ConfigurationError, match=broken):
        Authority.open(issuer.folder)


def test_a_key_others_may_read_is_refused(issuer: Issuer) -> None:
    (issuer.folder / KEY_FILE).chmod(0o640)
    with pytest.raises(ConfigurationError, match="read by others") as refused:
        Authority.open(issuer.folder)
    assert "chmod 600" in refused.value.hint


# --- renewing -------------------------------------------------------------------------------------


def test_a_renewal_keeps_names_and_length_and_takes_the_key_that_is_asked_for(
    issuer: Issuer,
) -> None:
    old = issuer.authority.issue("box", ["10.0.0.7"], utc(-5 * 86_400.0))
    current = x509.load_pem_x509_certificate(old.certificate)
    new = x509.load_pem_x509_certificate(
        issuer.authority.renew(request_of(old.key), current, utc())
    )
    assert names_in(new) == names_in(current) and new.subject == current.subject
    assert new.public_key() == current.public_key()
    assert new.not_valid_after_utc - new.not_valid_before_utc == (
        current.not_valid_after_utc - current.not_valid_before_utc
    )
    assert new.serial_number != current.serial_number
    other = issuer.authority.issue("unrelated", (), utc())
    moved = issuer.authority.renew(request_of(other.key), current, utc())
    named = x509.load_pem_x509_certificate(moved)
    assert certified_by(named) == certified_by(current), "a request names nobody"
    assert named.public_key() != current.public_key()


def test_short_lives_are_renewed_to_the_same_length(issuer: Issuer) -> None:
    old = issuer.authority.issue("box", (), utc(), for_s=60.0)
    current = x509.load_pem_x509_certificate(old.certificate)
    for _ in range(5):
        current = x509.load_pem_x509_certificate(
            issuer.authority.renew(request_of(old.key), current, utc())
        )
    life = current.not_valid_after_utc - current.not_valid_before_utc
    assert 60 <= life.total_seconds() <= 68


def test_another_authoritys_certificate_is_not_renewed(issuer: Issuer, tmp_path: Path) -> None:
    other = Issuer(tmp_path / "other").authority.issue("box", (), utc())
    current = x509.load_pem_x509_certificate(other.certificate)
    with pytest.raises(DeniedError, match="another authority"):
        issuer.authority.renew(request_of(other.key), current, utc())


def test_a_request_must_be_signed_by_its_own_key(issuer: Issuer) -> None:
    issued = issuer.authority.issue("box", (), utc())
    current = x509.load_pem_x509_certificate(issued.certificate)
    good = x509.load_pem_x509_csr(request_of(issued.key))
    der = bytearray(good.public_bytes(Encoding.DER))
    der[-1] ^= 1
    forged = (
        b"-----BEGIN CERTIFICATE REQUEST-----\n"
        + base64.encodebytes(bytes(der))
        + b"-----END CERTIFICATE REQUEST-----\n"
    )
    for request in (forged, b"", b"nonsense", issued.certificate):
        with pytest.raises(UsageError, match="certificate request"):
            issuer.authority.renew(request, current, utc())


def test_requests_are_made_for_keys_of_a_company_too() -> None:
    signed = company("box")
    asked = x509.load_pem_x509_csr(request_of(signed.key_pem))
    assert asked.is_signature_valid
    assert isinstance(asked.public_key(), ec.EllipticCurvePublicKey)
    with pytest.raises(ConfigurationError, match="PEM"):
        request_of(b"nonsense")
