"""A port of profile strict: who gets in, who does not, and what each of them is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout, web

from strew.certificates.credentials import Credentials, load
from strew.certificates.refusals import refusal
from strew.codec import PREFACE
from strew.errors import DeniedError, StrewError, UnavailableError
from strew.messages import PeerId
from strew.transfer import secured as secured_module
from strew.transfer.secured import SecuredTransport
from tests.certificates.issued import Issuer, company, utc
from tests.transfer.ends import (
    HIGH,
    LOW,
    OTHER_KEY,
    Shown,
    Station,
    StoredChunk,
    header,
    two_linked,
    until,
)


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "ca")


async def says(_request: web.BaseRequest) -> web.Response:
    return web.Response(text="inside")


@pytest.fixture
async def high(issuer: Issuer) -> AsyncIterator[Station]:
    """A strict node that serves HTTP as well."""
    server = web.Server(says)
    station = await Station(HIGH, credentials=issuer.named(HIGH)).listen(server)
    yield station
    await station.port.close()
    await server.shutdown(1.0)


async def fails(station: Station, other: Station) -> StrewError:
    """What a dial says that must not succeed; no link stands on either side."""
    with pytest.raises(StrewError) as refused:
        await station.dial(other)
    await asyncio.sleep(0.02)
    assert not station.port.links and not other.port.links
    assert not station.owner.up and not other.owner.up
    await station.port.close()
    return refused.value


async def low(credentials: Credentials | None, name: PeerId = LOW, **more: object) -> Station:
    return await Station(name, credentials=credentials, **more).listen()  # type: ignore[arg-type]


# --- the peer wire --------------------------------------------------------------------------------


async def test_nothing_of_a_link_can_be_read_on_the_wire(issuer: Issuer) -> None:
    one, other = await two_linked(issuer)
    for station in (one, other):
        control, receiver = station.link._control, station.link._receiver
        assert control is not None and isinstance(control._transport, SecuredTransport)
        assert receiver is not None and isinstance(receiver._transport, SecuredTransport)
    assert one.link.peer == HIGH and other.link.peer == LOW
    for station in (one, other):
        await station.port.close()


async def test_a_certificate_of_another_authority_is_refused_and_told_so(
    high: Station, tmp_path: Path, issuer: Issuer
) -> None:
    stranger = Issuer(tmp_path / "other")
    files = stranger.files("low")
    files.ca.write_bytes(files.ca.read_bytes() + issuer.ca.read_bytes())
    error = await fails(await low(load(files, utc())), high)
    assert isinstance(error, DeniedError) and "does not know the CA" in error.message


async def test_a_node_that_does_not_know_the_other_ones_authority_refuses_it(
    high: Station, tmp_path: Path
) -> None:
    error = await fails(await low(Issuer(tmp_path / "other").named(LOW)), high)
    assert isinstance(error, DeniedError) and "its certificate is refused" in error.message


async def test_an_expired_certificate_is_refused_and_told_so(high: Station, issuer: Issuer) -> None:
    """A node itself does not start with one; one that runs, and was not renewed, sees this."""
    credentials = load(issuer.files("low", for_s=60, at_s=-120), utc(-90))
    error = await fails(await low(credentials), high)
    assert isinstance(error, DeniedError) and "has expired" in error.message


async def test_a_certificate_that_names_nobody_is_refused(high: Station, issuer: Issuer) -> None:
    root = company("root", is_ca=True)
    nobody = company("", root)
    issuer.ca.write_bytes(issuer.ca.read_bytes() + root.pem)
    files = issuer.put("nobody", nobody.pem, nobody.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(files.ca)
    context.load_cert_chain(files.certificate, files.key)
    trusting = await Station(HIGH, credentials=load(issuer.files("high"), utc())).listen()
    assert await https(trusting, context) == "broke off"
    await trusting.port.close()


async def test_a_peer_may_only_call_itself_what_its_certificate_says(
    high: Station, issuer: Issuer
) -> None:
    """Either side of a dial: the one that dials, and the one that is dialled."""
    liar = await low(issuer.named("5" * 32))
    error = await fails(liar, high)
    assert isinstance(error, UnavailableError), "nothing more is said to a liar"
    liar = await low(issuer.named("5" * 32))
    honest = await low(issuer.named("3" * 32), PeerId("3" * 32))
    error = await fails(honest, liar)
    assert isinstance(error, DeniedError) and "does not speak for" in error.message
    await liar.port.close()


async def test_a_users_command_may_take_any_id_of_its_half(high: Station, issuer: Issuer) -> None:
    credentials = issuer.credentials("me", is_user=True)
    for _ in range(2):
        me = await low(credentials, credentials.certified.peer_id())
        await me.dial(high)
        await until(lambda: high.port.links)
        await me.port.close()
        await until(lambda: not high.port.links)
    high.owner.up.clear()
    await fails(await low(credentials, LOW), high)


async def test_a_renewal_leaves_links_alone_and_shows_itself_to_new_ones(issuer: Issuer) -> None:
    one, other = await two_linked(issuer)
    shown = other.port.security
    assert isinstance(shown, Shown)
    renewed = issuer.named(HIGH)
    shown.server, shown.met = renewed.server, renewed.met
    one.link.send_chunk(header(1, 1 << 20), lambda: StoredChunk(bytes(1 << 20)))
    await until(lambda: 1 in other.owner.chunks)
    assert not one.owner.lost and not other.owner.lost
    third = await low(issuer.named("5" * 32), PeerId("5" * 32))
    await third.dial(other)
    await until(lambda: len(other.port.links) == 2)
    for station in (one, other, third):
        await station.port.close()


async def test_the_fleet_key_is_asked_for_as_ever(high: Station, issuer: Issuer) -> None:
    error = await fails(await low(issuer.named(LOW), key=OTHER_KEY), high)
    assert isinstance(error, DeniedError | UnavailableError)


# --- who speaks something else --------------------------------------------------------------------


async def test_a_plain_node_and_a_strict_one_do_not_meet(high: Station, issuer: Issuer) -> None:
    error = await fails(await low(None), high)
    assert isinstance(error, UnavailableError), "it is hung up on"
    plain = await low(None, HIGH)
    error = await fails(await low(issuer.named(LOW)), plain)
    assert isinstance(error, DeniedError | UnavailableError)
    await plain.port.close()


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"TLS, please"),
        (b"\xff", b"TLS, please"),
        (PREFACE, b""),
        (b"\x16", b""),
        (b"\x16\x03\x01\x00\x05hello", None),
        (b"\x16" + b"\xff" * 2000, None),
    ],
    ids=["http", "a byte", "peer wire", "half a record", "no hello", "a long record"],
)
async def test_bytes_that_are_no_tls_end_the_connection(
    high: Station, monkeypatch: pytest.MonkeyPatch, said: bytes, answered: bytes | None
) -> None:
    monkeypatch.setattr(secured_module, "HANDSHAKE_WITHIN_S", 0.1)
    monkeypatch.setattr(secured_module, "LINGER_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", high.port.port)
    writer.write(said)
    async with asyncio.timeout(3.0):
        got = await reader.read()
    assert got == answered or (answered is None and got[:1] in (b"", b"\x15")), "at most an alert"
    writer.close()


async def test_tls_1_2_is_refused(high: Station, issuer: Issuer) -> None:
    files = issuer.files("old")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.load_verify_locations(files.ca)
    context.load_cert_chain(files.certificate, files.key)
    assert "does not speak TLS 1.3" in await https(high, context)


# --- HTTP -----------------------------------------------------------------------------------------


async def https(station: Station, context: ssl.SSLContext) -> str:
    """The answer to a request, or what was said instead of one."""
    url = f"https://127.0.0.1:{station.port.port}/"
    async with ClientSession(timeout=ClientTimeout(total=5.0)) as session:
        try:
            async with session.get(url, ssl=context) as answer:
                return await answer.text()
        except (ClientError, OSError) as error:
            told = refusal(error, "it")
            return str(told) if told is not None else "broke off"


async def test_http_goes_through_the_same_port_with_a_certificate(
    high: Station, issuer: Issuer
) -> None:
    named = issuer.credentials("box")
    assert await https(high, named.named) == "inside"
    assert await https(high, named.met) == "inside"


async def test_an_address_a_person_wrote_must_be_in_the_certificate(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else any node of the fleet that can turn traffic to itself were the tracker."""
    monkeypatch.setattr("strew.certificates.authority.LOOPBACK_HOSTS", ())
    server = web.Server(says)
    station = Station(HIGH, credentials=issuer.credentials("far", "10.9.9.9"))
    await station.listen(server)
    mine = issuer.credentials("mine")
    assert "--host" in await https(station, mine.named)
    assert await https(station, mine.met) == "inside"
    await station.port.close()
    await server.shutdown(1.0)


async def test_without_a_certificate_one_is_asked_for(high: Station, issuer: Issuer) -> None:
    context = ssl.create_default_context(cafile=issuer.ca)
    told = await https(high, context)
    assert "it wants a certificate" in told and "--tls-cert" in told


# --- the transport --------------------------------------------------------------------------------


class Heard(asyncio.Protocol):
    """Writes down what a transport tells its protocol."""

    def __init__(self) -> None:
        self.transport: SecuredTransport | None = None
        self.data = b""
        self.ended: list[Exception | None] = []
        self.flow: list[str] = []
        self.eof = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, SecuredTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        self.eof = True

    def pause_writing(self) -> None:
        self.flow.append("pause")

    def resume_writing(self) -> None:
        self.flow.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.append(exc)


Pair = tuple[Heard, Heard, SecuredTransport, SecuredTransport]


@pytest.fixture
async def pair(issuer: Issuer) -> AsyncIterator[Pair]:
    """Two ends of one connection."""
    loop = asyncio.get_running_loop()
    one, other = Heard(), Heard()
    server = await loop.create_server(
        lambda: SecuredTransport(issuer.credentials("a").server, one, server_side=True),
        *("127.0.0.1", 0),
    )
    context = issuer.credentials("b").met
    address = server.sockets[0].getsockname()
    await loop.create_connection(
        lambda: SecuredTransport(context, other, server_side=False), *address
    )
    await until(lambda: one.transport and other.transport)
    assert one.transport is not None and other.transport is not None
    yield one, other, one.transport, other.transport
    for end in (one.transport, other.transport):
        end.abort()
    server.close()


async def test_what_is_written_arrives_whole_in_both_directions(pair: Pair) -> None:
    one, other, a, b = pair
    sent = bytes(range(256)) * 5000
    a.write(sent)
    b.write(memoryview(sent))
    a.write(b"")
    await until(lambda: one.data == sent and other.data == sent)


async def test_a_paused_end_hears_nothing_and_then_all(pair: Pair) -> None:
    _, other, a, b = pair
    b.pause_reading()
    b.pause_reading()
    a.write(b"x" * 3_000_000)
    await asyncio.sleep(0.05)
    assert other.data == b"" and not b.is_reading()
    b.resume_reading()
    await until(lambda: len(other.data) == 3_000_000)


async def test_a_protocol_that_pauses_itself_in_the_middle_is_left_in_peace(pair: Pair) -> None:
    _, other, a, b = pair
    other.data_received = lambda data: (  # type: ignore[method-assign]
        setattr(other, "data", other.data + data),
        b.pause_reading(),
    )[0]
    a.write(b"y" * 100_000)
    await until(lambda: other.data)
    await asyncio.sleep(0.02)
    first = len(other.data)
    assert first <= 16 << 10, "one record"
    while len(other.data) < 100_000:
        before = len(other.data)
        b.resume_reading()
        await until(lambda: len(other.data) > before)  # noqa: B023


async def test_a_writer_is_told_when_nobody_reads(pair: Pair) -> None:
    one, _, a, b = pair
    b.pause_reading()
    a.set_write_buffer_limits(high=100_000)
    while not one.flow:
        a.write(bytes(1 << 20))
        await asyncio.sleep(0)
    assert one.flow == ["pause"] and a.get_write_buffer_size() > 0
    b.resume_reading()
    await until(lambda: one.flow == ["pause", "resume"])


async def test_closing_sends_all_and_says_goodbye(pair: Pair) -> None:
    one, other, a, _ = pair
    a.write(b"z" * 1_000_000)
    a.close()
    a.write(b"too late")
    assert a.is_closing()
    await until(lambda: other.ended and one.ended)
    assert len(other.data) == 1_000_000 and other.eof
    assert other.ended == [None] and one.ended == [None]


async def test_bytes_changed_on_the_way_end_the_connection(pair: Pair) -> None:
    _, other, a, b = pair
    a.divert(lambda data: b.feed(data[:-1] + bytes([data[-1] ^ 1])))
    a.write(b"pay 10 to Bob")
    await until(lambda: other.ended)
    assert other.data == b"" and isinstance(other.ended[0], StrewError)


async def test_what_tls_says_can_be_sent_by_other_hands(pair: Pair) -> None:
    _, other, a, b = pair
    kept: list[bytes] = []
    a.divert(kept.append)
    a.write(b"by hand")
    await asyncio.sleep(0.01)
    assert other.data == b"" and len(kept) == 1 and b"by hand" not in kept[0]
    b.feed(kept[0])
    assert other.data == b"by hand"
