"""Referrals over real connections, and what a Location may say."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from strew.announce import referral
from strew.announce.referral import ANSWERED_MAX
from strew.content.chunker import params_for
from strew.content.digest import digest_of
from strew.content.manifest import Entry, Manifest
from strew.content.reference import Address
from strew.errors import ProtocolError, UsageError
from strew.tracker.location import PORT, REFERRED, Referral, referral_in
from tests.tracker.served import KEY, Served, manifest, served

CHUNKS = 20_000
"""Their manifest has 0.7 MB: more than fits between two sockets, one of which is not read."""


def large() -> Manifest:
    return Manifest.build(
        name="app",
        is_tree=False,
        mode=0o644,
        entries=[Entry(path="app", kind="file", mode=0o644, size_bytes=CHUNKS)],
        params=params_for(CHUNKS),
        lengths=[1] * CHUNKS,
        digests=digest_of(b"x") * CHUNKS,
    )


APP = large()


@pytest.fixture(autouse=True)
def a_crowd_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as a busy machine may need for a test."""
    monkeypatch.setattr(referral, "CROWD_S", 60.0)


@contextlib.asynccontextmanager
async def crowd(on: Served, callers: int) -> AsyncIterator[None]:
    """So many machines that asked, and read no more than the first bytes of the answer."""
    with contextlib.ExitStack() as stack:
        for number in range(callers):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, on.address)
            head = (
                f"GET /api/v1/artifacts/{APP.id}/manifest?{PORT}={7000 + number} HTTP/1.1\r\n"
                f"Host: {on.address}\r\nAuthorization: Bearer {KEY.node_token()}\r\n\r\n"
            )
            await loop.sock_sendall(sock, head.encode())
            assert (await loop.sock_recv(sock, 12)).endswith(b"200")
        yield


async def test_of_a_crowd_the_rest_asks_those_who_came_first() -> None:
    async with served() as on:
        await on.client.put_manifest(APP.id, APP.raw)
        async with crowd(on, ANSWERED_MAX):
            assert await on.client.seek_manifest(APP.id, 7300) == Address("127.0.0.1", 7000)
            assert await on.client.seek_manifest(APP.id, 7300) == APP.raw  # it asks again
            assert await on.client.manifest(APP.id) == APP.raw  # nobody could ask it in turn


async def test_a_crowd_that_was_answered_is_none() -> None:
    async with served() as on:
        await on.client.put_manifest(APP.id, APP.raw)
        for number in range(ANSWERED_MAX + 3):
            assert await on.client.seek_manifest(APP.id, 7000 + number) == APP.raw
        async with crowd(on, ANSWERED_MAX):
            pass  # all of them gone before they had it
        assert await on.client.seek_manifest(APP.id, 7300) == APP.raw


async def test_a_small_manifest_is_given_to_everybody() -> None:
    small = manifest("app")
    async with served() as on:
        await on.client.put_manifest(APP.id, APP.raw)
        await on.client.put_manifest(small.id, small.raw)
        async with crowd(on, ANSWERED_MAX):
            assert await on.client.seek_manifest(small.id, 7300) == small.raw


@pytest.mark.parametrize("port", [0, 65536, 123456])
async def test_a_port_that_is_none(port: int) -> None:
    async with served() as on:
        await on.client.put_manifest(APP.id, APP.raw)
        with pytest.raises(UsageError, match="no valid port"):
            await on.client.seek_manifest(APP.id, port)


async def test_a_location_is_on_the_way_that_was_asked() -> None:
    """It names no scheme: who asked over TLS goes on over TLS."""
    async with served() as on:
        await on.client.put_manifest(APP.id, APP.raw)
        async with crowd(on, ANSWERED_MAX):
            path = f"/api/v1/artifacts/{APP.id}/manifest"
            headers = {"Authorization": f"Bearer {KEY.node_token()}"}
            async with on.session.get(
                on.url(f"{path}?{PORT}=7300"), headers=headers, allow_redirects=False
            ) as answer:
                assert answer.status == REFERRED
                assert answer.headers["Location"] == f"//127.0.0.1:7000{path}?held=1"
                assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("location", "address"),
    [
        ("//10.0.0.7:7301/api", Address("10.0.0.7", 7301)),
        ("//[fd00::7]:7301/api", Address("fd00::7", 7301)),
    ],
)
def test_of_a_location_the_address_counts(location: str, address: Address) -> None:
    found = referral_in(location, "tracker t")
    assert isinstance(found, Referral) and found.address == address


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/api",
        "http://10.0.0.7:7301/api",
        "//10.0.0.7/api",
        "//10.0.0.7:0/api",
        "//10.0.0.7:70000/api",
        "//224.0.0.1:7301/api",
        "//0.0.0.0:7301/api",
        "//999.0.0.1:7301/api",
        "//[::ffff]:x/api",
        "//example.com:7301/api",
        "//10.0.0.7:7301",
        "//10.0.0.7:７301/api",
    ],
)
def test_a_location_that_is_no_machines(location: str) -> None:
    found = referral_in(location, "tracker t")
    assert type(found) is ProtocolError and "no machine's address" in found.message
