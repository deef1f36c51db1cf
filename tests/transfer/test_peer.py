"""One pair of nodes, both connections real: messages, chunks both ways, and the end."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from strew.codec import SLICE_BYTES_MAX
from strew.messages import Have, Offer, Request
from strew.transfer import peer as peer_module
from tests.certificates.issued import Issuer
from tests.transfer.ends import HIGH, LOW, SWARM, StoredChunk, header, two_linked, until


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> Issuer | None:
    """Everything here holds in both profiles."""
    return Issuer(tmp_path) if request.param == "tls" else None


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


async def test_messages_arrive_in_order_both_ways(tls: Issuer | None) -> None:
    low, high = await two_linked(tls)
    for index in range(500):
        low.link.send(Request(SWARM, index))
    high.link.send(Offer(SWARM))
    await until(lambda: len(high.owner.messages) == 500 and low.owner.messages)
    assert high.owner.messages == [(LOW, Request(SWARM, index)) for index in range(500)]
    assert low.owner.messages == [(HIGH, Offer(SWARM))]
    await low.port.close()
    await high.port.close()


@pytest.mark.parametrize("size", [1, 65_536, SLICE_BYTES_MAX, 4 << 20, 8 << 20])
async def test_a_chunk_of_any_size_arrives_intact(tls: Issuer | None, size: int) -> None:
    low, high = await two_linked(tls)
    low.link.send_chunk(header(3, size, role=1), lambda: StoredChunk(noise(size)))
    await until(lambda: 3 in high.owner.chunks)
    assert high.owner.chunks[3] == noise(size)
    assert high.owner.begun[0].role == 1
    await until(lambda: low.owner.sent == [(3, True)])
    await low.port.close()
    await high.port.close()


async def test_both_send_at_once_and_nobody_waits_for_the_other(tls: Issuer | None) -> None:
    """More than all kernel buffers, both ways: whoever stopped reading while it sends hangs."""
    low, high = await two_linked(tls)
    for index in range(8):
        for one in (low, high):
            one.link.send_chunk(header(index, 2 << 20), lambda: StoredChunk(noise(2 << 20)))
    await until(lambda: len(low.owner.chunks) == len(high.owner.chunks) == 8)
    assert all(data == noise(2 << 20) for data in low.owner.chunks.values())
    await low.port.close()
    await high.port.close()


async def test_messages_do_not_wait_behind_chunks(tls: Issuer | None) -> None:
    low, high = await two_linked(tls)
    for index in range(10):
        low.link.send_chunk(header(index, 4 << 20), lambda: StoredChunk(bytes(4 << 20)))
    low.link.send(Offer(SWARM))
    await until(lambda: high.owner.messages)
    assert len(high.owner.chunks) < 10
    await low.port.close()
    await high.port.close()


async def test_an_unwanted_chunk_is_thrown_away_and_the_next_one_kept(tls: Issuer | None) -> None:
    low, high = await two_linked(tls)
    high.owner.unwanted = {1}
    for index in (1, 2):
        low.link.send_chunk(header(index, 1 << 20), lambda: StoredChunk(noise(1 << 20)))
    await until(lambda: 2 in high.owner.chunks)
    assert 1 not in high.owner.chunks
    await low.port.close()
    await high.port.close()


async def test_a_cancelled_chunk_is_reported_as_not_sent(tls: Issuer | None) -> None:
    low, high = await two_linked(tls)
    for index in range(3):
        low.link.send_chunk(header(index, 8 << 20), lambda: StoredChunk(bytes(8 << 20)))
    low.link.cancel_chunk(SWARM, 2)
    await until(lambda: len(low.owner.sent) == 3)
    assert sorted(low.owner.sent) == [(0, True), (1, True), (2, False)]
    await low.port.close()
    await high.port.close()


async def test_when_all_buffers_are_in_use_the_sender_is_held_and_nothing_is_lost(
    tls: Issuer | None,
) -> None:
    low, high = await two_linked(tls)
    high.owner.kept = []
    high.port._pool._limit = 2
    for index in range(12):
        low.link.send_chunk(
            header(index, SLICE_BYTES_MAX), lambda: StoredChunk(noise(SLICE_BYTES_MAX))
        )
    await until(lambda: len(high.owner.kept or []) == 2)
    await asyncio.sleep(0.05)
    assert len(high.owner.chunks) == 2 and len(low.owner.sent) < 12
    kept, high.owner.kept = high.owner.kept, None
    for buffer in kept:
        buffer.release()
    await until(lambda: len(high.owner.chunks) == 12)
    assert all(data == noise(SLICE_BYTES_MAX) for data in high.owner.chunks.values())
    await low.port.close()
    await high.port.close()


async def test_a_download_limit_holds_back_the_sender(tls: Issuer | None) -> None:
    low, high = await two_linked(tls, down=20e6)
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    for index in range(20):
        high.link.send_chunk(header(index, 200_000), lambda: StoredChunk(noise(200_000)))
    await until(lambda: len(low.owner.chunks) == 20)
    took_s = loop.time() - started_s
    assert 20e6 * took_s + 4 * low.buckets.down.quantum_bytes >= 4_000_000
    assert low.buckets.down.waited_s > 0
    assert all(data == noise(200_000) for data in low.owner.chunks.values())
    await low.port.close()
    await high.port.close()


async def test_a_lost_link_is_told_once_to_each_side(tls: Issuer | None) -> None:
    low, high = await two_linked(tls)
    low.link.lose("test")
    await until(lambda: high.owner.lost)
    await asyncio.sleep(0.02)
    assert low.owner.lost == [(HIGH, "test")]
    assert [name for name, _ in high.owner.lost] == [LOW]
    assert not low.port.links and not high.port.links
    await low.port.close()
    await high.port.close()


async def test_a_closed_link_says_nothing_and_does_nothing(tls: Issuer | None) -> None:
    low, high = await two_linked(tls)
    link = low.link
    link.close()
    link.send(Offer(SWARM))
    link.send_chunk(header(1, 10), lambda: StoredChunk(b"0123456789"))
    link.cancel_chunk(SWARM, 1)
    link.lose("again")
    assert low.owner.lost == []
    await low.port.close()
    await high.port.close()


async def test_rubbish_on_the_control_connection_ends_the_link(tls: Issuer | None) -> None:
    low, high = await two_linked(tls)
    control = low.link._control
    assert control is not None
    control.send(b"\xff\xff\xff\xff\x13")
    await until(lambda: high.owner.lost)
    assert "frame of" in high.owner.lost[0][1]
    await until(lambda: low.owner.lost)
    await low.port.close()
    await high.port.close()


async def test_a_peer_that_does_not_read_its_messages_is_given_up(
    tls: Issuer | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_module, "CONTROL_BACKLOG_BYTES_MAX", 256 << 10)
    low, high = await two_linked(tls)
    control = high.link._control
    assert control is not None and control._transport is not None
    control._transport.pause_reading()
    message = Have(SWARM, list(range(100_000, 108_000)))
    for _ in range(2000):
        if low.owner.lost:
            break
        low.port.links[HIGH].send(message)
        await asyncio.sleep(0)
    assert low.owner.lost == [(HIGH, "peer does not read its messages")]
    await low.port.close()
    await high.port.close()
