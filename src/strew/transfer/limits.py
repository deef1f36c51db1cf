"""Token buckets for rates, and the sizes of kernel queues."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

QUANTUM_S = 0.004
"""A limited sender wakes up about so often: finer costs wake-ups, coarser makes bursts."""

QUANTUM_BYTES_MIN = 16 << 10
QUANTUM_BYTES_MAX = 256 << 10

SEND_QUEUE_BYTES_MAX = 4 << 20

DEEP_BYTES = 128 << 10
"""From such a queue on the kernel is given as much as it takes, not piece by piece."""

SEND_QUEUE_S = 0.002
"""What may wait in the kernel beside two round trips: two wake-ups of a busy process."""

FAST_BYTES_PER_S = 64 << 20
"""A node that sends or receives so much in all is short of processor, not of link."""

FAST_QUEUE_S, FAST_QUEUE_BYTES_MAX = 0.03, 512 << 10
"""What may wait in a connection's queue at such a node, at most: a piece costs a turn of the loop,
and a copy that sendfile would not make."""

MEASURE_S = 0.25
"""Over how long a node's rate is measured, at least."""

PIECE_BYTES = 16 << 10
"""About so much of a connection is in flight until it is measured to need more, and goes to its
queue at once. Two dozen senders that meet at one machine then stay within the queue of its link,
whatever their congestion control thinks of it. Left to itself the kernel appends what is written to
the last buffer it holds, up to 64 KiB, and counts the queue's limit only between buffers."""

UNSENT_BYTES_MAX = 16 << 10
"""TCP_NOTSENT_LOWAT: a socket is writable again when less than this has not left yet."""

RECEIVE_QUEUE_LIMITED_BYTES = 64 << 10
"""Receive buffer under a download limit: what waits there was sent too early."""

_TCP_INFO_MIN_RTT = struct.Struct("=148xI")


class TokenBucket:
    """A rate in bytes/s, as debt: whoever takes may go below zero and then waits.

    `None` as rate is no limit. The bucket never saves up more than one quantum, so that after a
    pause there is no burst.
    """

    __slots__ = (
        "_at_s",
        "_clock",
        "_measured_s",
        "_moved_bytes",
        "_pace_bytes_per_s",
        "_tokens",
        "quantum_bytes",
        "rate_bytes_per_s",
        "waited_s",
    )

    def __init__(self, rate_bytes_per_s: float | None, clock: Callable[[], float]) -> None:
        self.rate_bytes_per_s = rate_bytes_per_s
        self._clock = clock
        self._at_s = clock()
        self.waited_s = 0.0
        self._measured_s = self._at_s
        self._moved_bytes = 0
        self._pace_bytes_per_s = 0.0
        if rate_bytes_per_s is None:
            self.quantum_bytes = QUANTUM_BYTES_MAX
        else:
            wanted = int(rate_bytes_per_s * QUANTUM_S)
            self.quantum_bytes = min(max(wanted, QUANTUM_BYTES_MIN), QUANTUM_BYTES_MAX)
        self._tokens = float(self.quantum_bytes)

    @property
    def limited(self) -> bool:
        return self.rate_bytes_per_s is not None

    def wait_s(self) -> float:
        """Seconds until something may be taken; 0 if now."""
        if self.rate_bytes_per_s is None:
            return 0.0
        now = self._clock()
        self._tokens += (now - self._at_s) * self.rate_bytes_per_s
        self._at_s = now
        if self._tokens > self.quantum_bytes:
            self._tokens = float(self.quantum_bytes)
        if self._tokens > 0:
            return 0.0
        wait_s = -self._tokens / self.rate_bytes_per_s + 1e-6
        self.waited_s += wait_s
        return wait_s

    def take(self, count_bytes: int) -> None:
        """Count bytes that were moved."""
        self._moved_bytes += count_bytes
        if self.rate_bytes_per_s is not None:
            self._tokens -= count_bytes

    @property
    def pace_bytes_per_s(self) -> float:
        """What all who take from it move together, as measured a moment ago."""
        now = self._clock()
        seconds = now - self._measured_s
        if seconds >= MEASURE_S:
            self._pace_bytes_per_s = self._moved_bytes / seconds
            self._measured_s, self._moved_bytes = now, 0
        return self._pace_bytes_per_s


@dataclass(frozen=True, slots=True)
class Buckets:
    """What a node moves: a bucket each way."""

    up: TokenBucket
    down: TokenBucket

    @classmethod
    def limited(
        cls,
        up_bytes_per_s: float | None,
        down_bytes_per_s: float | None,
        clock: Callable[[], float],
    ) -> Buckets:
        """Each way at most at this rate; None is no limit."""
        return cls(TokenBucket(up_bytes_per_s, clock), TokenBucket(down_bytes_per_s, clock))

    @property
    def pace_bytes_per_s(self) -> float:
        """What moves in the busier direction, as measured a moment ago. A node whose queues are
        too short to send much is known by what it gets."""
        return max(self.up.pace_bytes_per_s, self.down.pace_bytes_per_s)


def shallow(sock: socket.socket) -> int:
    """Let the kernel queue one piece on a data connection, before anything was measured.

    Returns the bytes of a piece: some whole segments, two at least, because a receiver
    acknowledges every second one at once and waits with the odd one. On the loopback, whose
    segments are larger than its first windows, that does not help, and no link is there to fill.
    """
    segment_bytes = max(1, sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG))
    piece_bytes = segment_bytes * max(2, PIECE_BYTES // segment_bytes)
    if segment_bytes > PIECE_BYTES:
        piece_bytes = 2 * DEEP_BYTES
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, queue_bytes_min(piece_bytes))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX)
    return piece_bytes


def queue_bytes_min(piece_bytes: int) -> int:
    """The queue that holds one piece: the kernel doubles what it is told (socket(7))."""
    return piece_bytes // 2


def send_queue_bytes(
    sock: socket.socket, rate_bytes_per_s: float, piece_bytes: int, node_bytes_per_s: float
) -> int:
    """The queue a connection needs at its rate: that times two round trips and two wake-ups, and
    more where its node moves much in all.

    The least round trip is the kernel's (TCP_INFO: tcpi_min_rtt). Its tcpi_delivery_rate is not
    used: on a link without latency it is that of a burst, a hundred times what the link carries.
    """
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_MIN_RTT.size)
    if len(info) < _TCP_INFO_MIN_RTT.size:
        return queue_bytes_min(piece_bytes)
    (min_rtt_us,) = _TCP_INFO_MIN_RTT.unpack(info)
    wanted = rate_bytes_per_s * (2e-6 * min_rtt_us + SEND_QUEUE_S)
    if node_bytes_per_s >= FAST_BYTES_PER_S:
        wanted = max(wanted, min(rate_bytes_per_s * FAST_QUEUE_S, FAST_QUEUE_BYTES_MAX))
    return int(max(min(wanted, SEND_QUEUE_BYTES_MAX), queue_bytes_min(piece_bytes)))


def keep_alive(sock: socket.socket) -> None:
    """Notice within about 20 s that the other machine is gone, also on an idle connection."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 3), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20_000)
