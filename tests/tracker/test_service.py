"""The tracker's routes: who may, what is refused, and what is told."""

import asyncio
import json
import time

import aiohttp
import pytest

from strew.announce.protocol import Holding
from strew.content.reference import Name
from strew.errors import DeniedError, IntegrityError, NotFoundError, UnavailableError
from strew.tracker import streaming
from tests.announce.makers import announce, artifact_id, peer_id
from tests.tracker.served import KEY, OTHER_KEY, Served, manifest, served

V1 = "/api/v1"
APP = manifest("app.bin")


def whole(origin: bool = False) -> Holding:
    return Holding(artifact=APP.id, have_chunks=1, chunk_count=1, state="seeding", origin=origin)


async def published(on: Served, tag: str = "v1") -> None:
    await on.client.put_manifest(APP.id, APP.raw)
    await on.client.announce(announce(1, whole(origin=True)))
    await on.client.publish(Name("app", tag), APP.id)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_the_way_of_a_publication() -> None:
    async with served() as on:
        first = await on.client.announce(announce(2, follows=("app:*",)))
        assert first.publications == ()
        await published(on)
        heard = await on.client.announce(announce(2, follows=("app:*",), seen=first.seen))
        assert [p.reference for p in heard.publications] == ["app:v1"]
        assert heard.manifests == {APP.id: APP.raw}
        (peer,) = heard.peers[APP.id]
        assert (peer.id, peer.host, peer.port) == (peer_id(1), "127.0.0.1", 7001)
        assert (await on.client.resolve(Name("app", "v1"))).artifact == APP.id
        assert await on.client.manifest(APP.id) == APP.raw
        (report,) = await on.client.artifacts()
        assert report == await on.client.artifact(APP.id)
        assert report.references == ("app:v1",) and report.name == "app.bin"
        assert [p.reference for p in await on.client.names()] == ["app:v1"]


async def test_names_with_parts() -> None:
    async with served() as on:
        await published(on)
        name = Name("team/app", "v1.2_x")
        await on.client.publish(name, APP.id)
        assert (await on.client.resolve(name)).reference == "team/app:v1.2_x"


async def test_the_swarm_as_it_is_seen() -> None:
    now = [1000.0]
    async with served(lambda: now[0]) as on:
        for number in (2, 3, 4):
            await on.client.announce(announce(number, follows=("app",)))
        await published(on)
        now[0] += 2.0
        await on.client.announce(announce(2, whole(), follows=("app",)))
        failed = Holding(
            artifact=APP.id, have_chunks=0, chunk_count=1, state="failed", reason="disk full"
        )
        await on.client.announce(announce(3, failed, follows=("app",)))
        report = await on.client.swarm(APP.id)
        assert report.published_s == 1000.0 and report.references == ("app:v1",)
        states = {node.id: node.state for node in report.nodes}
        assert states == {
            peer_id(1): "seeding",
            peer_id(2): "seeding",
            peer_id(3): "failed",
            peer_id(4): "waiting",
        }
        summary = report.summary
        assert (summary.total, summary.done, summary.failed, summary.waiting) == (3, 1, 1, 1)
        assert (summary.following, summary.following_done, summary.following_failed) == (3, 1, 1)
        assert summary.done_s_last == summary.done_s_median == 2.0
        assert next(n.reason for n in report.nodes if n.state == "failed") == "disk full"
        nodes = {node.id: node for node in await on.client.nodes()}
        assert nodes[peer_id(2)].complete == 1 and nodes[peer_id(4)].follows == ("app",)


async def test_what_is_not_there_is_not_found() -> None:
    async with served() as on:
        with pytest.raises(NotFoundError, match="app:v1"):
            await on.client.resolve(Name("app", "v1"))
        for ask in (on.client.artifact, on.client.manifest, on.client.swarm):
            with pytest.raises(NotFoundError):
                await ask(artifact_id("nothing"))


async def test_a_name_for_what_nobody_holds_is_refused() -> None:
    async with served() as on:
        with pytest.raises(UnavailableError, match="manifest"):
            await on.client.publish(Name("app", "v1"), APP.id)
        await on.client.put_manifest(APP.id, APP.raw)
        with pytest.raises(UnavailableError, match="holds all"):
            await on.client.publish(Name("app", "v1"), APP.id)


async def test_a_manifest_must_be_what_its_id_says_and_keep_its_rules() -> None:
    async with served() as on:
        with pytest.raises(IntegrityError, match="not the manifest"):
            await on.client.put_manifest(APP.id, APP.raw + b" ")
        with pytest.raises(IntegrityError, match="bad manifest"):
            await on.client.put_manifest(artifact_id("junk"), b"junk")
        assert on.state.artifacts() == []


async def test_another_fleets_key_is_refused() -> None:
    async with served() as on:
        stranger = type(on.client)(on.session, on.address, OTHER_KEY)
        with pytest.raises(DeniedError, match="token"):
            await stranger.announce(announce(1))


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", f"{V1}/announce", b"{}", 400),
        ("POST", f"{V1}/announce", b"<html>", 400),
        ("POST", f"{V1}/announce", b'{"x":' + b"[" * 100_000, 400),
        ("POST", f"{V1}/announce", b" " * ((1 << 20) + 1), 413),
        ("GET", f"{V1}/announce", None, 405),
        ("GET", f"{V1}/artifacts/blake3:{'0' * 63}", None, 400),
        ("GET", f"{V1}/artifacts/%2e%2e", None, 400),
        ("GET", f"{V1}/names/-a/v1", None, 400),
        ("GET", f"{V1}/names/a%2F..%2Fb/v1", None, 400),
        ("GET", f"{V1}/names/a:b/v1", None, 400),
        ("GET", f"{V1}/events?kinds=secrets", None, 400),
        ("GET", f"{V1}/nothing", None, 404),
        ("DELETE", f"{V1}/nodes", None, 405),
    ],
)
async def test_bad_requests_are_problems(
    method: str, path: str, body: bytes | None, status: int
) -> None:
    async with served() as on:
        url = aiohttp.client.URL(on.url(path), encoded=True)
        headers = bearer(KEY.node_token())
        async with on.session.request(method, url, data=body, headers=headers) as answer:
            problem = json.loads(await answer.read())
            assert answer.status == status, problem
            assert answer.content_type == "application/problem+json"
            assert problem["status"] == status and problem["code"] and problem["detail"]


@pytest.mark.parametrize("body", [b"{}", b'{"artifact": "x"}', b'{"artifact": 5}'])
async def test_a_bad_request_to_publish_is_refused(body: bytes) -> None:
    async with served() as on:
        headers = bearer(KEY.publish_token())
        url = on.url(f"{V1}/names/app/v1")
        async with on.session.put(url, data=body, headers=headers) as answer:
            assert answer.status == 400


async def test_a_body_in_pieces_is_stopped_at_the_limit() -> None:
    async def endless():  # type: ignore[no-untyped-def]
        for _ in range(10_000):
            yield b" " * 65536

    async with served() as on:
        headers = bearer(KEY.node_token())
        try:
            async with on.session.post(
                on.url(f"{V1}/announce"), data=endless(), headers=headers
            ) as answer:
                assert answer.status == 413
        except aiohttp.ClientConnectionError:
            pass  # cut off while it still sent


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7300", ""])
async def test_a_foreign_host_is_refused_on_every_path(host: str) -> None:
    async with served() as on:
        for path in ("/healthz", f"{V1}/nodes", "/nothing"):
            async with on.session.get(on.url(path), headers={"Host": host}) as answer:
                assert answer.status in (400, 421)


async def test_a_storm_is_told_when_to_return() -> None:
    async with served() as on:
        for _ in range(7):
            await on.client.announce(announce(1))
        with pytest.raises(UnavailableError, match="announce"):
            await on.client.announce(announce(1))
        async with on.session.post(
            on.url(f"{V1}/announce"),
            json={"node": peer_id(1), "port": 7001},
            headers=bearer(KEY.node_token()),
        ) as answer:
            assert answer.status == 429 and int(answer.headers["Retry-After"]) >= 1


async def test_a_manifest_need_not_be_sent_twice() -> None:
    async with served() as on:
        await on.client.put_manifest(APP.id, APP.raw)
        headers = bearer(KEY.node_token()) | {"If-None-Match": f'"{APP.id}"'}
        url = on.url(f"{V1}/artifacts/{APP.id}/manifest")
        async with on.session.get(url, headers=headers) as answer:
            assert answer.status == 304


async def test_metrics_count_by_operation_and_hold_no_ids() -> None:
    async with served() as on:
        await published(on)
        async with on.session.get(on.url("/metrics"), headers=bearer(KEY.viewer_token())) as answer:
            text = await answer.text()
        assert 'strew_tracker_requests_total{code="200",op="announce"} 1.0' in text
        assert 'strew_tracker_request_seconds_count{op="publish"} 1.0' in text
        assert "strew_tracker_nodes 1.0" in text
        assert APP.id not in text and "app:v1" not in text
        for path in ("/healthz", "/readyz"):
            async with on.session.get(on.url(path)) as answer:
                assert answer.status == 200


async def test_a_node_hears_of_a_publication_within_a_second() -> None:
    async with served() as on:
        await on.client.announce(announce(2, follows=("app",)))
        events = on.client.events(kinds=("publication",))
        assert (await anext(events)).kind == "open"
        await on.client.put_manifest(APP.id, APP.raw)
        await on.client.announce(announce(1, whole(origin=True)))
        started = time.monotonic()
        await on.client.publish(Name("app", "v1"), APP.id)
        event = await anext(events)
        assert time.monotonic() - started < 1.0
        data = json.loads(event.data)
        assert event.kind == "publication" and data["publication"]["reference"] == "app:v1"
        assert data["spread_s"] == 0.0
        await events.aclose()


async def test_the_same_name_again_is_no_event() -> None:
    async with served() as on:
        await published(on)
        events = on.client.events(kinds=("publication",))
        await anext(events)
        await on.client.publish(Name("app", "v1"), APP.id)
        await on.client.publish(Name("app", "v2"), APP.id)
        assert b"app:v2" in (await anext(events)).data
        await events.aclose()


async def test_progress_is_told_to_who_asked() -> None:
    async with served() as on:
        await on.client.announce(announce(2, follows=("app",)))
        events = on.client.events(kinds=("swarm",))
        await anext(events)
        await published(on)
        await on.client.announce(announce(2, whole(), follows=("app",)))
        while True:
            summary = json.loads((await anext(events)).data)
            if summary["following_done"] == 1:
                break
        assert summary["artifact"] == APP.id and summary["following"] == 1
        await events.aclose()


async def test_a_stream_goes_on_where_it_broke() -> None:
    async with served() as on:
        events = on.client.events(kinds=("publication",))
        await anext(events)
        await published(on, "v1")
        last = await anext(events)
        await events.aclose()
        await on.client.publish(Name("app", "v2"), APP.id)
        again = on.client.events(kinds=("publication",), last_event_id=last.id)
        assert json.loads((await anext(again)).data) == {"resumed": True}
        assert b"app:v2" in (await anext(again)).data
        await again.aclose()
        lost = on.client.events(last_event_id="12345")
        assert json.loads((await anext(lost)).data) == {"resumed": False}
        await lost.aclose()


async def test_streams_end_with_the_tracker() -> None:
    async with aiohttp.ClientSession() as session:
        async with served() as on:
            client = type(on.client)(session, on.address, KEY)
            events = client.events()
            await anext(events)
        with pytest.raises(UnavailableError):
            await anext(events)
        with pytest.raises(UnavailableError, match="cannot be reached"):
            await client.announce(announce(1))


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Transfer-Encoding: chunked", b"zz\r\nnot a chunk\r\n"),
        (b"Content-Encoding: gzip\r\nContent-Length: 4", b"junk"),
        (b"Content-Length: 4\r\nContent-Length: 5", b"{}  "),
        (b"X-Large: " + b"x" * 20_000, b""),
    ],
)
async def test_a_body_or_head_that_breaks_http_is_the_askers_fault(
    head: bytes, body: bytes
) -> None:
    async with served() as on:
        reader, writer = await asyncio.open_connection(*on.address)
        writer.write(
            b"POST /api/v1/announce HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
            + KEY.node_token().encode()
            + b"\r\n"
            + head
            + b"\r\n\r\n"
            + body
        )
        assert (await reader.readline())[9:12] == b"400"
        writer.close()
        await on.client.announce(announce(1))


async def test_a_subscriber_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "FRAME_WITHIN_S", 0.05)
    async with served() as on:
        feed = on.tracker._feed
        reader, writer = await asyncio.open_connection(*on.address)
        writer.write(
            b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
            + KEY.node_token().encode()
            + b"\r\n\r\n"
        )
        async with asyncio.timeout(10):
            await reader.readuntil(b"event: open\n")
            while len(feed) == 1:
                feed.publish("swarm", b"x" * 60_000, 1.0)
                await asyncio.sleep(0.001)
        writer.close()
