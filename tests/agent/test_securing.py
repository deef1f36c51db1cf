"""What a strict process proves itself with, and how that changes while it runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509

from strew.agent import securing
from strew.agent.config import load
from strew.agent.securing import Security
from strew.certificates.authority import Authority
from strew.certificates.files import write_public
from strew.errors import ConfigurationError, NotFoundError, StrewError
from tests.certificates.issued import Issuer, utc
from tests.transfer.ends import until


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "ca")


@asynccontextmanager
async def kept(
    security: Security, ask: Callable[[bytes], Awaitable[bytes]], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """While this lasts files are looked at all the time."""
    monkeypatch.setattr(securing, "LOOK_EVERY_S", 0.005)
    monkeypatch.setattr(securing, "RENEW_RETRY_MIN_S", 0.02)
    task = asyncio.ensure_future(security.keep(ask))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def nobody(_request: bytes) -> bytes:
    raise NotFoundError("no tracker is known that issues certificates")


def serial(security: Security) -> int:
    return security._now.certificate.serial_number


def test_lab_needs_nothing_and_takes_nothing(tmp_path: Path) -> None:
    assert Security.of(load({"data": str(tmp_path)}, environ={}).settings) is None
    for key in ("tls-ca", "tls-cert", "tls-key", "tls-issuer"):
        settings = load({key: str(tmp_path)}, environ={}).settings
        with pytest.raises(ConfigurationError, match=f"{key} is set, but profile lab"):
            Security.of(settings)


def test_an_issuer_must_have_issued_the_process_itself(issuer: Issuer, tmp_path: Path) -> None:
    files = issuer.files("serve")
    assert Security(files, issuer.authority).authority is issuer.authority
    other = Authority.make(tmp_path / "other", "other", utc())
    with pytest.raises(ConfigurationError, match="not of the authority of --tls-issuer"):
        Security(files, other)


def test_a_plain_asker_gets_an_answer_it_understands(issuer: Issuer) -> None:
    head, _, body = Security(issuer.files("box"), None).plain_answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 ") and f"Content-Length: {len(body)}".encode() in head
    assert b'"code":"denied"' in body and b"--tls-cert" in body


async def test_a_replaced_certificate_is_taken_for_new_connections(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    security = Security(issuer.files("box"), None)
    before, context = serial(security), security.server
    async with kept(security, nobody, monkeypatch):
        issuer.files("box")
        await until(lambda: serial(security) != before)
        assert security.server is not context and security.for_met.context is security.met


async def test_half_of_a_replacement_waits_for_the_other_half(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    security = Security(issuer.files("box"), None)
    before = serial(security)
    async with kept(security, nobody, monkeypatch):
        issued = issuer.authority.issue("box", (), utc())
        write_public(security.files.certificate, issued.certificate)
        await asyncio.sleep(0.05)
        assert serial(security) == before, "the key does not belong to it"
        issuer.put("box", issued.certificate, issued.key)
        await until(lambda: serial(security) != before)


async def test_it_is_renewed_when_a_third_of_its_life_is_left_and_not_before(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    async def renew(request: bytes) -> bytes:
        asked.append(request)
        return issuer.authority.renew(request, security._now.certificate, utc())

    security = Security(issuer.files("box", for_s=900, at_s=-560), None)
    async with kept(security, renew, monkeypatch):
        await asyncio.sleep(0.05)
        assert not asked
    security = Security(issuer.files("box", for_s=900, at_s=-610), None)
    before = serial(security)
    async with kept(security, renew, monkeypatch):
        await until(lambda: serial(security) != before)
        await asyncio.sleep(0.05)
    assert len(asked) == 1
    written = x509.load_pem_x509_certificate(security.files.certificate.read_bytes())
    assert written.serial_number == serial(security)
    assert not list(issuer.folder.glob("*.new"))


async def test_an_issuing_process_renews_its_own_and_asks_nobody(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    security = Security(issuer.files("serve", for_s=900, at_s=-610), issuer.authority)
    before = serial(security)
    async with kept(security, nobody, monkeypatch):
        await until(lambda: serial(security) != before)


@pytest.mark.parametrize("answer", ["nobody", "nonsense", "another node's", "another's key"])
async def test_a_renewal_that_fails_leaves_everything_as_it_was(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    security = Security(issuer.files("box", for_s=900, at_s=-610), None)
    before, raw = serial(security), security.files.certificate.read_bytes()
    tries = 0

    async def ask(request: bytes) -> bytes:
        nonlocal tries
        tries += 1
        if answer == "nobody":
            return await nobody(request)
        if answer == "nonsense":
            return b"nonsense"
        other = issuer.authority.issue("other", (), utc())
        if answer == "another's key":
            return issuer.authority.issue("box", (), utc()).certificate
        current = x509.load_pem_x509_certificate(other.certificate)
        return issuer.authority.renew(request, current, utc())

    monkeypatch.setattr(securing, "RENEW_RETRY_RATIO", 0.0)
    async with kept(security, ask, monkeypatch):
        await until(lambda: tries >= 2)
    # A try that was begun ends in its thread, whoever stopped waiting for it.
    await until(lambda: not list(issuer.folder.glob("*.new")))
    assert serial(security) == before
    assert security.files.certificate.read_bytes() == raw


async def test_only_a_process_with_an_authority_renews_for_others(issuer: Issuer) -> None:
    with pytest.raises(StrewError, match="issues no certificates"):
        Security(issuer.files("box"), None).reissue(b"", asyncio.Transport())
