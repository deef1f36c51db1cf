"""The client against servers that are no tracker, or a strange one."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from strew.content.digest import artifact_id_of
from strew.content.reference import Name
from strew.errors import (
    DeniedError,
    IntegrityError,
    ProtocolError,
    StrewError,
    UnavailableError,
)
from strew.tracker import client as client_module
from strew.tracker.client import TrackerClient
from tests.announce.makers import announce, artifact_id
from tests.tracker.served import KEY, listening

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def asked(answer: Answer, ask: Callable[[TrackerClient], Awaitable[object]]) -> object:
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    async with listening(app) as address, aiohttp.ClientSession() as session:
        return await ask(TrackerClient(session, address, KEY))


def always(**fields: object) -> Answer:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(**fields)  # type: ignore[arg-type]

    return answer


JSON = "application/json"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (always(text="<html>", content_type="text/html"), ProtocolError),
        (always(status=302, headers={"Location": "http://127.0.0.1:1/"}), ProtocolError),
        (always(status=307, headers={"Location": "//10.0.0.1:7301/"}), ProtocolError),
        (always(status=204), ProtocolError),
        (always(body=b"{", content_type=JSON), ProtocolError),
        (always(body=b'{"a":' + b"[" * 100_000, content_type=JSON), ProtocolError),
        (always(body=b'{"lease_s": -1}', content_type=JSON), ProtocolError),
        (always(body=b" " * ((1 << 20) + 1), content_type=JSON), ProtocolError),
        (always(status=500, text="oops"), UnavailableError),
        (always(status=502, text="<html>"), UnavailableError),
        (always(status=401), DeniedError),
        (always(status=418), ProtocolError),
    ],
)
async def test_answers_no_tracker_gives(answer: Answer, kind: type[StrewError]) -> None:
    with pytest.raises(kind) as caught:
        await asked(answer, lambda client: client.announce(announce(1)))
    assert "\n" not in str(caught.value) and "<html>" not in str(caught.value)


async def test_a_problem_is_told_in_its_own_words_on_one_line() -> None:
    body = (
        b'{"type":"x","title":"x","status":409,"detail":"line\\none",'
        b'"code":"disk","hint":"h\\u202e"}'
    )
    with pytest.raises(StrewError) as caught:
        await asked(
            always(status=409, body=body, content_type="application/problem+json"),
            lambda client: client.resolve(Name("a", "b")),
        )
    assert caught.value.code == "disk"
    assert "line one" in caught.value.message and caught.value.hint == "h "


async def test_another_manifest_than_asked_for_is_refused() -> None:
    with pytest.raises(IntegrityError):
        await asked(
            always(body=b"other", content_type="application/octet-stream"),
            lambda client: client.manifest(artifact_id("app")),
        )


async def test_an_answer_about_another_name_is_refused() -> None:
    body = (
        b'{"reference":"other:1","artifact":"%s","version":1,"size_bytes":1,"chunk_count":1,'
        b'"published_s":1.0,"name":"x"}' % artifact_id("app").encode()
    )
    with pytest.raises(ProtocolError, match="other:1"):
        await asked(
            always(body=body, content_type=JSON), lambda client: client.resolve(Name("app", "1"))
        )


async def test_undialable_peers_and_oneself_are_left_out() -> None:
    told = announce(1)
    peers = ",".join(
        f'{{"id":"{number:032x}","host":"{host}","port":7301}}'
        for number, host in enumerate(["10.0.0.9", "10.0.0.1", "224.0.0.1", "example.com"])
    )
    app = artifact_id("app")
    body = f'{{"lease_s":30,"interval_s":10,"seen":0,"peers":{{"{app}":[{peers}]}}}}'.encode()
    handout = await asked(always(body=body, content_type=JSON), lambda c: c.announce(told))
    assert [p.host for p in handout.peers[app]] == ["10.0.0.9"]  # type: ignore[attr-defined]


def dripping(raw: bytes, pause_s: float) -> Answer:
    """Give these bytes one by one."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        for byte in raw:
            await asyncio.sleep(pause_s)
            await response.write(bytes([byte]))
        return response

    return answer


async def test_a_manifest_may_come_slowly_and_not_be_waited_for_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = b"a manifest's exact bytes"
    monkeypatch.setattr(client_module, "MANIFEST_SILENCE_S", 0.5)
    slow, still = dripping(raw, 0.03), dripping(raw, 60.0)
    assert await asked(slow, lambda client: client.manifest(artifact_id_of(raw))) == raw
    with pytest.raises(UnavailableError, match="in time"):
        await asked(still, lambda client: client.manifest(artifact_id_of(raw)))


async def test_a_tracker_that_does_not_answer_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "ANSWER_WITHIN_S", 0.05)
    gone = asyncio.Event()

    async def never(_request: web.Request) -> web.Response:
        await gone.wait()
        return web.Response()

    async def ask(client: TrackerClient) -> object:
        try:
            return await client._asked("GET", "/", {}, within_s=0.05)
        finally:
            gone.set()

    with pytest.raises(UnavailableError, match="in time"):
        await asked(never, ask)


@pytest.mark.parametrize(
    "sent", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]
)
async def test_what_is_no_http_or_breaks_off(sent: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server, aiohttp.ClientSession() as session:
        address = client_module.Address("127.0.0.1", server.sockets[0].getsockname()[1])
        with pytest.raises((UnavailableError, ProtocolError)):
            await TrackerClient(session, address, KEY).announce(announce(1))


async def test_an_endless_event_is_refused() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_type = "text/event-stream"
        await response.prepare(request)
        for _ in range(40):
            await response.write(b"data: " + b"x" * 4000 + b"\n")
        return response

    with pytest.raises(ProtocolError, match="event"):
        await asked(answer, lambda client: anext(client.events()))


async def test_a_line_without_end_is_refused() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_type = "text/event-stream"
        await response.prepare(request)
        await response.write(b"data: " + b"x" * (1 << 20))
        return response

    with pytest.raises(ProtocolError):
        await asked(answer, lambda client: anext(client.events()))
