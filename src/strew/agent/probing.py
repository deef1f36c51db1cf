"""Dialling a machine back, for `strew doctor` there: only another machine can say whether a port is
open to the fleet.

Whoever asks is dialled at the address the question came from and at no other, so that nobody can
have a node look at a third machine. TCP is dialled and closed again; over UDP one datagram, as long
as any of the fleet, is sent and must come back, which proves both ways at once.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Annotated, Any, Final

import msgspec

from strew import __version__
from strew.announce.protocol import decoded
from strew.errors import UnavailableError
from strew.publication import Port
from strew.transfer.sealing import DATAGRAM_BYTES_MAX

DIALS_MAX: Final = 8
"""Machines dialled back at the same time. More would only serve somebody who asks for sport; who
comes later is told to try again."""

DIAL_WITHIN_S: Final = 3.0
"""A lost SYN is sent again after one second (RFC 6298, section 2): two may be lost. Lower calls a
lossy link closed; higher keeps a person waiting before a closed one."""

ECHO_WITHIN_S: Final = 0.5
ECHO_TRIES: Final = 3
"""Datagrams may be lost: one of three must come back."""

PADDING_CHARS_MAX: Final = 16 << 10
"""Enough for ten full packets each way: a path that drops full ones, and says so to nobody, lets
only short questions through (RFC 2923, section 2.1)."""

MARK: Final = b"strew probe "
"""What the datagram begins with: no kind of datagram of the fleet does."""


class ProbeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask to be dialled at `port`; without one, only what the answer tells is wanted. `nonce`
    stands in the datagram. `padding` comes back."""

    port: Port | None = None
    nonce: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]*\Z", max_length=32)] = ""
    padding: Annotated[str, msgspec.Meta(max_length=PADDING_CHARS_MAX)] = ""


class ProbeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the other side has to say of whoever asked. `at_s` is its unix time. `host` is where the
    question came from; `tcp` and `udp` whether that answered at the port, None if none was given;
    `reason` why TCP did not."""

    version: str
    at_s: float
    host: str
    tcp: bool | None = None
    udp: bool | None = None
    reason: str = ""
    padding: str = ""


_decoder = msgspec.json.Decoder(ProbeRequest)


def decode_probe(body: bytes) -> ProbeRequest:
    """Read strictly. ProtocolError."""
    return decoded(body, _decoder, "request to be probed")


def probe_datagram(nonce: str) -> bytes:
    """The datagram that must come back."""
    return (MARK + nonce.encode()).ljust(DATAGRAM_BYTES_MAX, b"\0")


class Prober:
    """Dials back for one process."""

    def __init__(self) -> None:
        self._dials = 0

    async def answer(self, asked: ProbeRequest, host: str) -> ProbeReport:
        """Look at `host`, where the question came from. UnavailableError if too many are under
        way."""
        tcp: bool | None = None
        udp: bool | None = None
        reason = ""
        if asked.port is not None:
            if self._dials >= DIALS_MAX:
                raise UnavailableError("this process dials as many machines back as it can")
            self._dials += 1
            try:
                reason, udp = await asyncio.gather(
                    _dialled(host, asked.port), _echoed(host, asked.port, asked.nonce)
                )
            finally:
                self._dials -= 1
            tcp = not reason
        return ProbeReport(
            version=__version__,
            at_s=time.time(),
            host=host,
            tcp=tcp,
            udp=udp,
            reason=reason,
            padding=asked.padding,
        )


async def _dialled(host: str, port: int) -> str:
    """Open a connection and close it; why that did not work, empty if it did."""
    try:
        async with asyncio.timeout(DIAL_WITHIN_S):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return "no answer"
    except OSError as error:
        # asyncio's own text names the address and not the reason
        return os.strerror(error.errno) if error.errno else type(error).__name__
    writer.transport.abort()
    return ""


class _Echo(asyncio.DatagramProtocol):
    """Waits for one datagram to come back."""

    def __init__(self, sent: bytes) -> None:
        self._sent = sent
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def _end(self, came_back: bool) -> None:
        if not self.ended.done():
            self.ended.set_result(came_back)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if data == self._sent:
            self._end(True)

    def error_received(self, exc: Exception) -> None:
        self._end(False)  # the other machine says that nobody listens there


async def _echoed(host: str, port: int, nonce: str) -> bool:
    """Whether a datagram of the largest size comes back from there."""
    data = probe_datagram(nonce)
    loop = asyncio.get_running_loop()
    try:
        transport, echo = await loop.create_datagram_endpoint(
            lambda: _Echo(data), remote_addr=(host, port)
        )
    except OSError:
        return False
    try:
        for _ in range(ECHO_TRIES):
            transport.sendto(data)
            done, _pending = await asyncio.wait({echo.ended}, timeout=ECHO_WITHIN_S)
            if done:
                return echo.ended.result()
        return False
    finally:
        transport.close()
