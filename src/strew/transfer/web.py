"""One HTTP connection's manners: a head in time and of bounded size, and answers that are read.

It stands between the transport and the HTTP server's protocol, hands everything on, and ends the
connection where the other side does not do its part:

* the head of a request is longer than HEAD_BYTES_MAX, or not whole after HEAD_WITHIN_S. An attacker
  who sends heads a byte at a time holds a connection for ten seconds, not for ever (Slowloris);
* what was answered is not read: less than UNREAD_BYTES_MIN leaves in UNREAD_WITHIN_S. An answer
  then costs its own size in memory for so long, and no more.

A connection on which nothing happens at all is the HTTP server's to end, after IDLE_S. Nothing is
timed while all goes well: heads come whole, and answers leave at once.
"""

from __future__ import annotations

import asyncio
from typing import Final

HEAD_BYTES_MAX = 16 << 10
"""Longest head. Ours have 400 bytes, a browser's with cookies of other services 4 to 8 KiB."""

HEAD_WITHIN_S = 10.0
"""A head must be whole so long after its first byte. Lower: a bad mobile link fails; higher: slow
heads hold their connections longer."""

IDLE_S = 60.0
"""A connection without a request is kept for so long. Lower: clients connect again more often;
higher: those that have gone, or mean ill, hold their places longer."""

UNREAD_WITHIN_S = 5.0
UNREAD_BYTES_MIN = 64 << 10
"""Of an answer that waits at least so much must leave in this time, as of a chunk. Lower: who reads
13 kB/s holds a connection and its answer; higher: readers on slow links are cut off. The kernel
takes the first hundreds of kilobytes at once, and these are not waited for."""

LINGER_S = 1.0
"""How long a refused connection is still read, for the refusal to arrive."""

_END: Final = b"\r\n\r\n"

_REFUSAL: Final = (
    b"HTTP/1.1 %s\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%s"
)
_PROBLEM: Final = (
    b'{"type":"urn:strew:protocol","title":"%s","status":%d,"detail":"%s","code":"protocol",'
    b'"hint":"send a smaller head, in one piece"}'
)


class WebConnection(asyncio.Protocol):
    """See the module. The application says when a request begins and is answered."""

    def __init__(self, server: asyncio.Protocol) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._head_bytes = 0
        self._tail = b""
        """The last bytes of a head that is not whole, in which its end may have begun."""
        self._in_request = False
        self._refused = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._unread_bytes = 0

    # --- requests --------------------------------------------------------------------------------

    def begun(self) -> None:
        """A request is being answered: what comes now is its body."""
        self._in_request = True
        self._stop_head_timer()

    def answered(self) -> None:
        """The next bytes begin a head."""
        self._in_request = False
        self._head_bytes = 0
        self._tail = b""

    # --- what the transport tells ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # told of every byte that waits, not only of many
        transport.set_write_buffer_limits(high=0)
        self._server.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._refused or (not self._in_request and not self._head_comes(data)):
            return
        self._server.data_received(data)

    def eof_received(self) -> bool | None:
        return self._server.eof_received()

    def pause_writing(self) -> None:
        self._server.pause_writing()
        self._watch_unread()

    def resume_writing(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None
        self._server.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
        self._server.connection_lost(exc)

    # --- heads -----------------------------------------------------------------------------------

    def _head_comes(self, data: bytes) -> bool:
        """Count a part of a head; False if the connection is refused for it."""
        seen = self._tail + data
        if self._head_bytes == 0:
            seen = seen.lstrip(b"\r\n")  # allowed before a request (RFC 9112, section 2.2)
        end = seen.find(_END)
        self._head_bytes += len(seen) - len(self._tail) if end < 0 else end - len(self._tail)
        if self._head_bytes > HEAD_BYTES_MAX:
            self._refuse(b"431 Request Header Fields Too Large", b"the head is over 16 KiB")
            return False
        if end >= 0:
            self._in_request = True
            self._tail = b""
            self._stop_head_timer()
        else:
            self._tail = seen[-(len(_END) - 1) :]
            if self._head_timer is None:
                self._head_timer = self._loop.call_later(HEAD_WITHIN_S, self._late)
        return True

    def _late(self) -> None:
        self._refuse(b"408 Request Timeout", b"the head was not whole in 10 s")

    def _refuse(self, status: bytes, detail: bytes) -> None:
        """Answer in a word, and end the connection: what still comes is thrown away for a moment,
        else the kernel resets the connection and takes the answer back (RFC 9112, section 9.6)."""
        self._stop_head_timer()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._refused = True
        body = _PROBLEM % (status[4:], int(status[:3]), detail)
        transport.write(_REFUSAL % (status, len(body), body))
        if transport.can_write_eof():
            transport.write_eof()
        self._loop.call_later(LINGER_S, transport.abort)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    # --- answers ---------------------------------------------------------------------------------

    def _watch_unread(self) -> None:
        assert self._transport is not None
        self._unread_bytes = self._transport.get_write_buffer_size()
        self._unread_timer = self._loop.call_later(UNREAD_WITHIN_S, self._look_unread)

    def _look_unread(self) -> None:
        assert self._transport is not None
        left_bytes = self._transport.get_write_buffer_size()
        if self._unread_bytes - left_bytes < UNREAD_BYTES_MIN:
            self._unread_timer = None
            self._transport.abort()
        else:
            self._watch_unread()
