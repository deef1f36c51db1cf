"""Proof of membership at the start of every peer wire connection; no input or output.

    dialler  -> PREFACE, HELLO(nonce a)
    listener -> HELLO(nonce b), PROOF(HMAC over both hellos, "listener")
    dialler  -> PROOF(HMAC over both hellos, "dialler")

Both nonces and both roles are in each proof, so that no answer can be played back to whoever asked
for it (the reflection attack of ISO/IEC 9798-2). A node without the fleet key learns only that
this is a strew port.
"""

from __future__ import annotations

from collections.abc import Callable

from strew.access.wire import begins_link
from strew.codec import (
    HANDSHAKE_FRAME_BYTES_MAX,
    PREFACE,
    TYPE_HELLO,
    TYPE_PROOF,
    FrameReader,
    Hello,
    decode_hello,
    encode_hello,
    frame,
)
from strew.errors import DeniedError, ProtocolError
from strew.fleet import FleetKey
from strew.messages import PROTOCOL_VERSION

_DIALLER = b"peer-dialler"
_LISTENER = b"peer-listener"


class Handshake:
    """One end of the exchange. Feed it what comes, send what it returns, until `done`.

    After `done`, `peer` is the other's Hello and `rest` are bytes that came after it.
    """

    def __init__(
        self, key: FleetKey, mine: Hello, answer: Callable[[Hello], Hello] | None = None
    ) -> None:
        """`mine` is the dialler's hello; a listener gives `answer`, which makes its own from the
        dialler's, and a `mine` of which only the node counts."""
        self._key = key
        self._mine = encode_hello(mine)
        self._my_node = mine.node
        self._channel = mine.channel
        self._answer = answer
        dialled = self._dialled = answer is None
        self._reader = FrameReader(HANDSHAKE_FRAME_BYTES_MAX)
        self._theirs = b""
        self._preface = b"" if dialled else PREFACE
        self.peer: Hello | None = None
        self.done = False
        self.rest = b""

    def start(self) -> bytes:
        """What a dialler sends first."""
        assert self._dialled
        return PREFACE + frame(TYPE_HELLO, self._mine)

    def feed(self, data: bytes) -> bytes:
        """Raises ProtocolError (not our protocol or version) or DeniedError (not our fleet)."""
        if self._preface:
            head = min(len(self._preface), len(data))
            if data[:head] != self._preface[:head]:
                raise ProtocolError("connection that does not begin like the peer wire")
            self._preface, data = self._preface[head:], data[head:]
        out = b""
        for kind, body in self._reader.feed(data):
            out += self._step(kind, body)
            if self.done:
                self.rest = self._reader.rest()
                break
        return out

    def _step(self, kind: int, body: bytes) -> bytes:
        if not begins_link(kind):
            raise ProtocolError(f"frame of type {kind} before the handshake ended")
        if kind == TYPE_HELLO and self.peer is None:
            self.peer = decode_hello(body)
            self._theirs = body
            self._check(self.peer)
            if self._answer is None:
                return b""
            self._mine = encode_hello(self._answer(self.peer))
            proof = self._key.proof(_LISTENER, self._theirs, self._mine)
            return frame(TYPE_HELLO, self._mine) + frame(TYPE_PROOF, proof)
        if kind == TYPE_PROOF and self.peer is not None:
            if self._dialled:
                proven = self._key.proves(body, _LISTENER, self._mine, self._theirs)
            else:
                proven = self._key.proves(body, _DIALLER, self._theirs, self._mine)
            if not proven:
                raise DeniedError(
                    "peer does not hold this fleet's key",
                    hint="give every machine of a fleet the same --fleet-key",
                )
            self.done = True
            if self._dialled:
                return frame(TYPE_PROOF, self._key.proof(_DIALLER, self._mine, self._theirs))
            return b""
        raise ProtocolError(f"frame of type {kind} out of its turn in the handshake")

    def _check(self, peer: Hello) -> None:
        if peer.version != PROTOCOL_VERSION:
            raise ProtocolError(
                f"peer speaks version {peer.version} of the peer wire, this node {PROTOCOL_VERSION}"
            )
        if peer.node == self._my_node:
            raise ProtocolError("this address is the node's own")
        if self._dialled and peer.channel != self._channel:
            raise ProtocolError("peer answered on another channel than it was asked for")
