"""Token buckets for rates, and the sizes of kernel queues."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

QUANTUM_S = 0.004
"""A limited sender wakes up about so often: finer costs wake-ups, coarser makes bursts."""

QUANTUM_BYTES_MIN = 16 << 10
QUANTUM_BYTES_MAX = 256 << 10

SEND_QUEUE_BYTES_MIN = 24 << 10
"""Shallow enough for a LAN of zero round trip: measured 1.14 where default sockets gave 1.44."""

SEND_QUEUE_BYTES_MAX = 4 << 20

SEND_QUEUE_S = 0.002
"""What may wait in the kernel beside a round trip: two wake-ups of a busy process."""

SEND_QUEUE_FRAMES_BYTES = 16 << 10

UNSENT_BYTES_MAX = 16 << 10
"""TCP_NOTSENT_LOWAT: a socket is writable again when less than this has not left yet."""

RECEIVE_QUEUE_LIMITED_BYTES = 64 << 10
"""Receive buffer under a download limit: what waits there was sent too early."""

_TCP_INFO_MIN_RTT = struct.Struct("=148xI8xQ")


class TokenBucket:
    """A rate in bytes/s, as debt: whoever takes may go below zero and then waits.

    `None` as rate is no limit. The bucket never saves up more than one quantum, so that after a
    pause there is no burst.
    """

    __slots__ = ("_at_s", "_clock", "_tokens", "quantum_bytes", "rate_bytes_per_s", "waited_s")

    def __init__(self, rate_bytes_per_s: float | None, clock: Callable[[], float]) -> None:
        self.rate_bytes_per_s = rate_bytes_per_s
        self._clock = clock
        self._at_s = clock()
        self.waited_s = 0.0
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
        if self.rate_bytes_per_s is not None:
            self._tokens -= count_bytes


def shallow(sock: socket.socket) -> None:
    """Bound what the kernel queues on a data connection before anything was measured."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * SEND_QUEUE_BYTES_MIN)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX)


def send_queue_bytes(sock: socket.socket) -> int:
    """The queue this connection needs: measured rate x (least round trip + a wake-up or two).

    From the kernel's own measurement (TCP_INFO: tcpi_min_rtt, tcpi_delivery_rate).
    """
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    if len(info) < 168:
        return SEND_QUEUE_BYTES_MIN
    min_rtt_us, rate_bytes_per_s = _TCP_INFO_MIN_RTT.unpack_from(info)
    wanted = rate_bytes_per_s * (min_rtt_us * 1e-6 + SEND_QUEUE_S) + SEND_QUEUE_FRAMES_BYTES
    return int(min(max(wanted, SEND_QUEUE_BYTES_MIN), SEND_QUEUE_BYTES_MAX))


def keep_alive(sock: socket.socket) -> None:
    """Notice within about 20 s that the other machine is gone, also on an idle connection."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 3), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20_000)
