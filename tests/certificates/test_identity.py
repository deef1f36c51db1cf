"""Who a certificate speaks for."""

from __future__ import annotations

import pytest
from cryptography import x509

from strew.certificates.identity import Certified, certified_by, certified_by_der
from strew.errors import DeniedError
from tests.certificates.issued import company

NODE = "0123456789abcdef0123456789abcdef"
USER = "0123456789abcdef"


def naming(*uris: str, subject: str = "box") -> x509.Certificate:
    return company(subject, names=[x509.UniformResourceIdentifier(uri) for uri in uris]).certificate


def test_a_node_is_the_peer_its_certificate_names_and_no_other() -> None:
    certified = certified_by(naming(f"strew:node:{NODE}", "https://example.com/else"))
    assert certified.is_node and certified.peer_id() == NODE
    assert certified.owns(NODE)
    assert not certified.owns(NODE[:-1] + "0") and not certified.owns(NODE[:16])
    certified.require(NODE)
    with pytest.raises(DeniedError, match="does not speak for"):
        certified.require("f" * 32)


def test_a_users_commands_are_different_peers_of_one_half() -> None:
    certified = certified_by(naming(f"strew:user:{USER}"))
    assert not certified.is_node
    one, other = certified.peer_id(), certified.peer_id()
    assert one != other and len(one) == len(other) == 32
    assert certified.owns(one) and certified.owns(other)
    assert not certified.owns("f" + one[1:]) and not certified.owns(USER)


def test_a_certificate_without_a_strew_name_is_known_by_its_subject() -> None:
    root = company("root", is_ca=True)
    one, again, other = (company(name, root).certificate for name in ("one", "one", "other"))
    assert certified_by(one).is_node
    assert certified_by(one) == certified_by(again), "also when it is renewed"
    assert certified_by(one) != certified_by(other)


@pytest.mark.parametrize(
    "certificate",
    [
        naming(f"strew:node:{NODE}", f"strew:node:{'f' * 32}"),
        naming(f"strew:node:{NODE}", f"strew:user:{USER}"),
        naming(f"strew:node:{NODE[:-1]}"),
        naming(f"strew:node:{NODE.upper()}"),
        naming(f"strew:user:{NODE}"),
        naming("strew:node:"),
        naming("urn:other:name", subject=""),
        company("").certificate,
    ],
    ids=["two", "both kinds", "short", "capitals", "long", "empty", "another's", "nobody"],
)
def test_a_certificate_that_names_nobody_for_certain_is_refused(
    certificate: x509.Certificate,
) -> None:
    with pytest.raises(DeniedError):
        certified_by(certificate)


def test_what_is_no_certificate_is_refused() -> None:
    for junk in (b"", b"\x30\x00", b"\x30\x82\xff\xff" + bytes(40)):
        with pytest.raises(DeniedError, match="cannot be read"):
            certified_by_der(junk)


def test_nothing_is_owned_by_an_empty_name() -> None:
    assert not Certified(USER).owns("")
