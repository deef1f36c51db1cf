"""Rates and queues, on a clock that the test moves."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.transfer.limits import (
    DEEP_BYTES,
    FAST_BYTES_PER_S,
    FAST_QUEUE_BYTES_MAX,
    FAST_QUEUE_S,
    MEASURE_S,
    PIECE_BYTES,
    QUANTUM_BYTES_MAX,
    QUANTUM_BYTES_MIN,
    SEND_QUEUE_BYTES_MAX,
    SEND_QUEUE_S,
    UNSENT_BYTES_MAX,
    Buckets,
    TokenBucket,
    queue_bytes_min,
    send_queue_bytes,
    shallow,
)
from tests.transfer.ends import socket_pair


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


rates = st.integers(1 << 10, 10 << 30)


@given(rates, st.lists(st.integers(1, 1 << 20), min_size=1, max_size=60))
def test_what_passes_is_the_rate_and_at_most_one_quantum_and_one_take_more(
    rate: int, takes: list[int]
) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, clock)
    passed = 0
    for take in takes:
        while (wait_s := bucket.wait_s()) > 0:
            clock.now += wait_s
        bucket.take(take)
        passed += take
    seconds = clock.now - 100.0
    assert passed <= rate * seconds + bucket.quantum_bytes + max(takes) + 1
    assert passed >= rate * (seconds - 1e-4 * len(takes)) - 1, "and it wastes nothing"


def test_a_pause_saves_up_no_burst() -> None:
    clock = Clock()
    bucket = TokenBucket(1e6, clock)
    clock.now += 3600.0
    passed = 0
    while bucket.wait_s() == 0.0:
        bucket.take(1000)
        passed += 1000
    assert passed <= bucket.quantum_bytes + 1000


def test_senders_that_share_a_bucket_share_its_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(1e6, clock)
    passed = [0, 0, 0]
    while clock.now < 110.0:
        for sender in range(3):
            if bucket.wait_s() == 0.0:
                bucket.take(16 << 10)
                passed[sender] += 16 << 10
        clock.now += max(bucket.wait_s(), 1e-6)
    assert sum(passed) == pytest.approx(10e6, rel=0.02)


def test_waited_time_is_counted() -> None:
    clock = Clock()
    bucket = TokenBucket(1e6, clock)
    bucket.take(bucket.quantum_bytes + 500_000)
    wait_s = bucket.wait_s()
    assert wait_s == pytest.approx(0.5, rel=0.01)
    assert bucket.waited_s == wait_s


def test_no_limit_never_waits() -> None:
    bucket = TokenBucket(None, Clock())
    bucket.take(1 << 60)
    assert not bucket.limited and bucket.wait_s() == 0.0


@pytest.mark.parametrize("rate", [None, 1e6])
def test_the_pace_is_that_of_the_last_while(rate: float | None) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, clock)
    assert bucket.pace_bytes_per_s == 0.0
    bucket.take(600)
    bucket.take(400)
    assert bucket.pace_bytes_per_s == 0.0, "too short a while to tell"
    clock.now += 2 * MEASURE_S
    assert bucket.pace_bytes_per_s == 1000 / (2 * MEASURE_S)
    bucket.take(10**9)
    assert bucket.pace_bytes_per_s == 1000 / (2 * MEASURE_S)
    clock.now += MEASURE_S
    assert bucket.pace_bytes_per_s == 10**9 / MEASURE_S
    clock.now += MEASURE_S
    assert bucket.pace_bytes_per_s == 0.0


@pytest.mark.parametrize(("up", "down"), [(1000, 400), (400, 1000)])
def test_a_nodes_pace_is_that_of_its_busier_direction(up: int, down: int) -> None:
    clock = Clock()
    buckets = Buckets.limited(None, 1e6, clock)
    assert not buckets.up.limited and buckets.down.rate_bytes_per_s == 1e6
    buckets.up.take(up)
    buckets.down.take(down)
    clock.now += 2 * MEASURE_S
    assert buckets.pace_bytes_per_s == 1000 / (2 * MEASURE_S)


@pytest.mark.parametrize("rate", [1.0, 1e6, 1e7, 1e12])
def test_a_quantum_is_neither_tiny_nor_a_burst(rate: float) -> None:
    assert QUANTUM_BYTES_MIN <= TokenBucket(rate, Clock()).quantum_bytes <= QUANTUM_BYTES_MAX


def test_a_clock_that_stands_still_gives_nothing() -> None:
    bucket = TokenBucket(1e6, Clock())
    bucket.take(bucket.quantum_bytes)
    assert bucket.wait_s() > 0 and bucket.wait_s() > 0


# --- kernel queues --------------------------------------------------------------------------------


def test_kernel_queues_are_shallow_and_follow_the_rate() -> None:
    one, two = socket_pair()
    try:
        piece_bytes = shallow(one)
        assert queue_bytes_min(piece_bytes) == DEEP_BYTES, "no link to fill on the loopback"
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * DEEP_BYTES
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT_BYTES_MAX
        for _ in range(20):
            one.send(bytes(10_000))
            two.recv(100_000)
        slow = FAST_BYTES_PER_S - 1.0
        sizes = [send_queue_bytes(one, rate, piece_bytes, slow) for rate in (0.0, 1e5, 1e9, 1e12)]
        assert sizes == sorted(sizes)
        assert sizes[:2] == [queue_bytes_min(piece_bytes)] * 2 and sizes[3] == SEND_QUEUE_BYTES_MAX
        assert sizes[2] >= 1e9 * SEND_QUEUE_S
        rates = (1e5, 1e7, 5e7, 1e9)
        fast = [send_queue_bytes(one, rate, piece_bytes, FAST_BYTES_PER_S) for rate in rates]
        assert fast[:3] == [sizes[0], int(1e7 * FAST_QUEUE_S), FAST_QUEUE_BYTES_MAX]
        assert fast[3] == sizes[2], "a queue that is deep already"
    finally:
        one.close()
        two.close()


def test_a_piece_is_some_whole_segments_also_of_a_small_frame() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    one = socket.socket()
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1460)
    one.connect(listener.getsockname())
    try:
        segment_bytes = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
        piece_bytes = shallow(one)
        assert segment_bytes <= 1460 and piece_bytes % segment_bytes == 0
        assert PIECE_BYTES - segment_bytes < piece_bytes <= PIECE_BYTES
    finally:
        one.close()
        listener.close()
