"""The three files of a process: every mistake names the file and the remedy."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import UniformResourceIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from strew.certificates.credentials import Files, load
from strew.certificates.files import write_private, write_public
from strew.errors import ConfigurationError
from tests.certificates.issued import WEEK_S, Issuer, company, utc


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "ca")


def test_good_files_make_contexts_that_want_certificates_and_tls_1_3(issuer: Issuer) -> None:
    found = load(issuer.files("box"), utc())
    assert found.certified.digits == issuer.authority.peer_of("box")
    for context in (found.server, found.named, found.met):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert found.named.check_hostname and not found.met.check_hostname
    assert found.server.num_tickets == 0, "no session goes on without a certificate"


def test_it_is_renewed_at_two_thirds_of_its_life(issuer: Issuer) -> None:
    found = load(issuer.files("box"), utc())
    left_s = found.ends_s - found.renew_at_s
    assert left_s == pytest.approx((WEEK_S + 300) / 3, abs=1)


def spoil_mode(files: Files, issuer: Issuer) -> Files:
    files.key.chmod(0o604)
    return files


def spoil_passphrase(files: Files, issuer: Issuer) -> Files:
    key = load_pem_private_key(files.key.read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    write_private(files.key, locked)
    return files


def spoil_purpose(files: Files, issuer: Issuer) -> Files:
    root = company("root", is_ca=True)
    box = company("box", root, uses=[ExtendedKeyUsageOID.SERVER_AUTH])
    write_public(files.ca, root.pem)
    return issuer.put("box", box.pem, box.key_pem)


def spoil_name(files: Files, issuer: Issuer) -> Files:
    root = company("root", is_ca=True)
    box = company("box", root, names=[UniformResourceIdentifier("strew:node:x")])
    write_public(files.ca, root.pem)
    return issuer.put("box", box.pem, box.key_pem)


def spoil_issuer(files: Files, issuer: Issuer) -> Files:
    write_public(files.ca, company("stranger", is_ca=True).pem)
    return files


def spoil_text(name: str) -> Callable[[Files, Issuer], Files]:
    def spoil(files: Files, issuer: Issuer) -> Files:
        getattr(files, name).write_text("nonsense")
        return files

    return spoil


def spoil_there(name: str) -> Callable[[Files, Issuer], Files]:
    def spoil(files: Files, issuer: Issuer) -> Files:
        getattr(files, name).unlink()
        return files

    return spoil


def another_key(files: Files, issuer: Issuer) -> Files:
    return Files(files.ca, files.certificate, issuer.files("other").key)


def a_folder(files: Files, issuer: Issuer) -> Files:
    return Files(files.ca, issuer.folder, files.key)


def too_large(files: Files, issuer: Issuer) -> Files:
    files.ca.write_bytes(bytes(1 << 20) + b"x")
    return files


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_there("ca"), r"ca\.pem': No such file"),
        (spoil_there("certificate"), r"box\.pem': No such file"),
        (spoil_there("key"), r"box\.key': No such file"),
        (spoil_text("ca"), r"ca\.pem' holds no certificate"),
        (spoil_text("certificate"), r"box\.pem' holds no certificate"),
        (spoil_text("key"), r"box\.key' holds no private key"),
        (spoil_passphrase, r"box\.key' holds no private key"),
        (spoil_mode, r"box\.key' may be read by others \(mode 0604\)"),
        (another_key, r"other\.key' does not belong to .*box\.pem'"),
        (spoil_issuer, r"box\.pem' was not issued by a CA in .*ca\.pem'"),
        (spoil_purpose, r"box\.pem' is not for TLS servers and TLS clients"),
        (spoil_name, r"box\.pem': certificate with the malformed name"),
        (a_folder, r"ca': Is a directory"),
        (too_large, r"ca\.pem' is larger than"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_mistake_names_its_file_and_a_remedy(
    issuer: Issuer, spoil: Callable[[Files, Issuer], Files], said: str
) -> None:
    files = spoil(issuer.files("box"), issuer)
    with pytest.raises(ConfigurationError, match=said) as refused:
        load(files, utc())
    assert refused.value.hint and "\n" not in str(refused.value)


def test_expired_and_not_yet_valid_are_told_apart(issuer: Issuer) -> None:
    files = issuer.files("box", for_s=3600)
    load(files, utc(3590))
    with pytest.raises(ConfigurationError, match="expired at"):
        load(files, utc(3601))
    load(files, utc(-290))
    with pytest.raises(ConfigurationError, match="not valid before") as early:
        load(files, utc(-302))
    assert "clock" in early.value.hint


def test_a_companys_ca_with_one_in_between_does_as_well(tmp_path: Path) -> None:
    root = company("root", is_ca=True)
    middle = company("middle", root, is_ca=True)
    box = company("box", middle)
    files = Files(tmp_path / "ca.pem", tmp_path / "box.pem", tmp_path / "box.key")
    write_public(files.ca, company("another", is_ca=True).pem + root.pem)
    write_public(files.certificate, box.pem + middle.pem)
    write_private(files.key, box.key_pem)
    assert load(files, utc()).certified.is_node
    write_public(files.certificate, box.pem)
    with pytest.raises(ConfigurationError, match="was not issued by"):
        load(files, utc())


def test_the_stamp_changes_with_each_of_the_files(issuer: Issuer) -> None:
    files = issuer.files("box")
    stamps = {files.stamp()}
    for path in (files.ca, files.certificate, files.key):
        write_private(path, path.read_bytes())
        stamps.add(files.stamp())
    files.key.unlink()
    stamps.add(files.stamp())
    assert len(stamps) == 5
