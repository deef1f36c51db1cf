"""A connection under TLS: a transport on top of a transport, with the protocols above unchanged.

asyncio's own would do but for three things. It closes a failed handshake without sending its alert,
so that a client with an expired certificate sees a reset connection and nobody can say why. It
takes a connection from its first byte, which here has been read already to tell TLS from anything
else. And its buffers hide how much is under way, which the sender of chunks must know to the piece.

One buffer for what comes from the network serves all connections: what is read is handed to TLS in
the same call. Decrypted bytes go straight into the buffers of a BufferedProtocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, cast

from strew.certificates.identity import CERTIFIED, Certified, certified_by_der
from strew.certificates.refusals import refusal
from strew.errors import DeniedError, StrewError, UnavailableError

FIRST_BYTE = 0x16
"""Content type of a handshake record (RFC 8446, section 5.1): how TLS begins."""

HANDSHAKE_WITHIN_S = 10.0
"""Of a stranger, as for the proof of the peer wire; a node's own dial gives up sooner."""

LINGER_S = 1.0
"""A refused connection is read, and what comes dropped, for so long: closed at once with bytes
unread, the kernel would send a reset, and that may overtake the alert that says why."""

NETWORK_BYTES = 256 << 10
"""Read from the network at once. Smaller: more calls (measured at 64 KiB: a fifth slower)."""

RECORD_BYTES_MAX = 16 << 10
"""Plain bytes in one record (RFC 8446, section 5.1)."""

_network = memoryview(bytearray(NETWORK_BYTES))


class SecuredTransport(asyncio.Transport, asyncio.BufferedProtocol):
    """The protocol of a connection and the transport of the protocol above it.

    That one hears `connection_made` once both sides have proved themselves, and of a failure
    before that `connection_lost` alone, with an error of strew's tree.
    """

    def __init__(
        self, context: ssl.SSLContext, protocol: asyncio.BaseProtocol, *, server_side: bool
    ) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)
        self._context = context
        self._protocol = protocol
        self._raw: asyncio.Transport | None = None
        self._put: Callable[[bytes], object] | None = None
        self._certified: Certified | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refused: StrewError | None = None
        self._paused = False
        self._pumping = False
        self._closing = False
        self._lost = False

    # --- the connection below --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._raw = transport
        self._put = transport.write
        self._timer = self._loop.call_later(HANDSHAKE_WITHIN_S, self._too_late)
        self._shake()

    def get_buffer(self, sizehint: int) -> memoryview:
        return _network

    def buffer_updated(self, nbytes: int) -> None:
        if self._refused is None:
            self.feed(_network[:nbytes])

    def feed(self, data: bytes | memoryview) -> None:
        """Bytes that came from the network, also such as were read before this took over."""
        self._incoming.write(data)
        if self._certified is None:
            self._shake()
        else:
            self._pump()

    def eof_received(self) -> None:
        """The other side ended without saying so in TLS: as any end, it may come at any time."""

    def pause_writing(self) -> None:
        if isinstance(self._protocol, asyncio.Protocol | asyncio.BufferedProtocol):
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if isinstance(self._protocol, asyncio.Protocol | asyncio.BufferedProtocol):
            self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        if self._lost:
            return
        self._lost = True
        if self._certified is None and self._refused is None:
            self._refused = UnavailableError("peer closed the connection during its handshake")
        self._protocol.connection_lost(self._refused or exc)

    @property
    def raw(self) -> asyncio.Transport:
        """The connection below."""
        assert self._raw is not None
        return self._raw

    # --- the handshake ---------------------------------------------------------------------------

    def _shake(self) -> None:
        try:
            self._ssl.do_handshake()
            certificate = self._ssl.getpeercert(binary_form=True)
            self._certified = certified_by_der(certificate or b"")
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._refuse(refusal(error, "peer") or UnavailableError(f"TLS failed: {error}"))
            return
        except DeniedError as error:
            self._refuse(error)
            return
        if self._timer is not None:
            self._timer.cancel()
        self._flush()
        self._protocol.connection_made(self)
        self._pump()

    def _too_late(self) -> None:
        self._refused = UnavailableError("peer did not finish its TLS handshake in time")
        self.abort()

    def _refuse(self, error: StrewError) -> None:
        """Send the alert, tell the protocol, and end the connection gently."""
        assert self._raw is not None
        self._refused = error
        self._closing = self._lost = True
        self._flush()
        with contextlib.suppress(OSError):  # the other side may be gone already
            self._raw.write_eof()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(LINGER_S, self._raw.abort)
        self._protocol.connection_lost(error)

    # --- reading ---------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Hand on all that came, until the protocol above has enough."""
        if self._pumping or self._lost:
            return
        self._pumping = True
        try:
            while not (self._paused or self._closing):
                protocol = self._protocol
                if isinstance(protocol, asyncio.BufferedProtocol):
                    ended = not self._fill(protocol)
                else:
                    assert isinstance(protocol, asyncio.Protocol)
                    data = self._ssl.read(RECORD_BYTES_MAX)
                    ended = not data
                    if data:
                        protocol.data_received(data)
                if ended:
                    self._ended(protocol)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._fail(refusal(error, "peer") or UnavailableError(f"TLS failed: {error}"))
        finally:
            self._pumping = False
        if self._outgoing.pending:
            self._flush()  # an answer of TLS itself, such as to a new key (RFC 8446, 4.6.3)

    def _fill(self, protocol: asyncio.BufferedProtocol) -> bool:
        """As much as the protocol's buffer takes of what is here; False at the end. Raises
        SSLWantReadError if that was nothing."""
        buffer = protocol.get_buffer(-1)
        assert isinstance(buffer, memoryview)
        filled = 0
        wanted = len(buffer)
        try:
            while filled < wanted:
                count = cast(int, self._ssl.read(wanted - filled, buffer[filled:]))
                if not count:
                    break
                filled += count
        except ssl.SSLWantReadError:
            if not filled:
                raise
        if filled:
            protocol.buffer_updated(filled)
        return filled > 0

    def _ended(self, protocol: asyncio.Protocol | asyncio.BufferedProtocol) -> None:
        """The other side said goodbye; half a TLS connection is not kept."""
        protocol.eof_received()
        self.close()

    def _fail(self, error: StrewError) -> None:
        """TLS broke: the other side refused us, or somebody changed bytes on their way."""
        self._refused = error
        self._flush()
        self.abort()

    # --- writing ---------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not data or self._closing:
            return
        try:
            self._ssl.write(data)
        except ssl.SSLError as error:
            self._fail(refusal(error, "peer") or UnavailableError(f"TLS failed: {error}"))
            return
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending and self._put is not None:
            self._put(self._outgoing.read())

    def divert(self, put: Callable[[bytes], object]) -> None:
        """From now on what is to go over the wire is handed to `put`, which must send it all, in
        order: the connection's own transport sends nothing more."""
        self._put = put

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert self._raw is not None
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size() if self._raw is not None else 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        assert self._raw is not None
        return self._raw.get_write_buffer_limits()

    def can_write_eof(self) -> bool:
        return False

    def write_eof(self) -> None:
        raise NotImplementedError("half a TLS connection cannot be closed")

    # --- the rest of a transport -----------------------------------------------------------------

    def pause_reading(self) -> None:
        if not self._paused and self._raw is not None:
            self._paused = True
            if not self._raw.is_closing():
                self._raw.pause_reading()

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        """First what is here already; then the network again, unless that was enough."""
        self._pump()
        if not self._paused and self._raw is not None and not self._raw.is_closing():
            self._raw.resume_reading()

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if self._closing or self._raw is None:
            return
        self._closing = True
        with contextlib.suppress(ssl.SSLError):  # it would wait for the other side's goodbye
            self._ssl.unwrap()
        self._flush()
        self._raw.close()

    def abort(self) -> None:
        self._closing = True
        if self._raw is not None:
            self._raw.abort()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == CERTIFIED:
            return self._certified
        if name == "ssl_object":
            return self._ssl
        if name == "sslcontext":
            return self._context
        return default if self._raw is None else self._raw.get_extra_info(name, default)
