"""What a probe of a silent machine meets, on real sockets."""

import asyncio
import socket

import pytest

from strew.tracker import probing
from strew.tracker.probing import probe


async def test_a_closed_port_refuses() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert await probe(*taken.getsockname()) == "refused"


async def test_who_takes_connections_and_answers_nothing_is_stalled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probing, "ANSWER_WITHIN_S", 0.05)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # and nobody ever accepts, as in a process that is stopped
        assert await probe(*listening.getsockname()) == "stalled"


async def test_who_cannot_be_connected_to_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "CONNECT_WITHIN_S", 0.05)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]  # nobody else fits in its queue
        try:
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(full.getsockname())
            assert await probe(*full.getsockname()) == "cut-off"
        finally:
            for each in waiting:
                each.close()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\n\r\n", b""], ids=["HTTP", "an end"])
async def test_any_answer_shows_that_the_process_lives(answer: bytes) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        assert await probe(*server.sockets[0].getsockname()) == "answers"
