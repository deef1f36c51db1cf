"""Hosts behind shaped links."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from strew.lab import namespaces
from strew.lab.network import FRAME_BYTES, Bench, Host, bucket_bytes, open_bench
from strew.lab.terms import Slow, Terms
from tests.lab.root import left_of, needs_root

MB = 10**6
BUSY = 6

LISTEN = """
import socket, sys
server = socket.create_server(("0.0.0.0", 9))
print(flush=True)
peer, _ = server.accept()
while peer.recv(1 << 16):
    pass
"""

SEND = """
import socket, sys, time
began = time.monotonic()
peer = socket.create_connection((sys.argv[1], 9))
peer.sendall(bytes(int(sys.argv[2])))
peer.shutdown(socket.SHUT_WR)
peer.recv(1)
print(time.monotonic() - began)
"""


async def sent(bench: Bench, source: Host, target: Host, size_bytes: int) -> float:
    """Seconds that a transfer took, to its last byte."""
    python = [sys.executable, "-c"]
    pipe = asyncio.subprocess.PIPE
    listening = await bench.spawn(target, [*python, LISTEN], stdout=pipe)
    assert listening.stdout is not None
    await listening.stdout.readline()
    words = [*python, SEND, target.address, str(size_bytes)]
    said, _ = await (await bench.spawn(source, words, stdout=pipe)).communicate()
    return float(said)


@needs_root
async def test_each_link_is_shaped_both_ways(tmp_path: Path) -> None:
    terms = Terms(nodes=2, rate_bytes_per_s=5 * MB, slow=Slow(0.5, MB))
    async with open_bench(terms, tmp_path) as bench:
        origin, fast, slow = bench.hosts
        assert bench.goodput_bytes_per_s == origin.goodput_bytes_per_s
        # never sooner than the link can; later where other tests keep the cores busy
        assert 0.18 < await sent(bench, origin, fast, MB) < 0.18 * BUSY
        bench.mark()
        assert 0.45 < await sent(bench, origin, slow, MB // 2) < 0.45 * BUSY
        assert 0.45 < await sent(bench, slow, fast, MB // 2) < 0.45 * BUSY
        assert bench.sent_bytes(origin) == pytest.approx(MB // 2, rel=0.03)
        assert bench.received_bytes(slow) == pytest.approx(MB // 2, rel=0.05)
        assert bench.received_bytes(fast) == pytest.approx(MB // 2, rel=0.05)
        assert bench.dropped_packets() >= 0
        assert bench.cpu_s() > 0.02
        # what ends between two looks has no peak: one that is still there does
        listening = await bench.spawn(
            slow, [sys.executable, "-c", LISTEN], stdout=asyncio.subprocess.PIPE
        )
        assert listening.stdout is not None
        await listening.stdout.readline()
        assert bench.rss_peak_bytes() > MB
    assert not left_of(os.getpid())
    assert not os.listdir(tmp_path)


@needs_root
async def test_the_lab_reaches_its_hosts_and_nobody_else_does(tmp_path: Path) -> None:
    async with open_bench(Terms(nodes=1, rate_bytes_per_s=None), tmp_path) as bench:
        assert bench.goodput_bytes_per_s is None
        listening = await bench.spawn(
            bench.origin, [sys.executable, "-c", LISTEN], stdout=asyncio.subprocess.PIPE
        )
        assert listening.stdout is not None
        await listening.stdout.readline()
        own = namespaces.run(["ip", "-brief", "address"])
        assert "10.213." not in own and "port0" not in own
        with bench.socket() as dialled:
            await asyncio.get_running_loop().sock_connect(dialled, (bench.origin.address, 9))


@needs_root
async def test_whatever_happens_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        async with open_bench(Terms(nodes=1), tmp_path) as bench:
            child = await bench.spawn(bench.origin, ["sleep", "60"])
            # a child of a child, in a session of its own
            await bench.spawn(bench.origin, ["setsid", "sh", "-c", "sleep 60 & sleep 60"])
            raise RuntimeError("in the middle")
    assert child.returncode == -9
    assert not left_of(os.getpid())
    assert not os.listdir(tmp_path)


def test_a_bucket_holds_some_frames_and_some_milliseconds() -> None:
    assert bucket_bytes(125_000) == (2 * FRAME_BYTES, 32 * FRAME_BYTES)
    assert bucket_bytes(100 * MB) == (200_000, 5 * MB)
