"""Both ends of a referral (strew.announce.referral) in HTTP: 307, whose Location is on a peer.

Whoever can be asked in turn says so by `?port=N`; nobody else is referred. The other machine is
asked for what it holds itself: it does not refer, so that one step is all there is.
"""

import asyncio
import contextlib
import fcntl
import re
import termios
from array import array

from aiohttp import hdrs, web

from strew.announce.address import is_dialable, reachable_host
from strew.announce.referral import (
    REFERRED_BYTES_MIN,
    TURN_LOOK_S,
    Caller,
    Referrals,
    Verdict,
)
from strew.content.digest import ArtifactId
from strew.content.reference import Address
from strew.errors import ProtocolError, UsageError
from strew.tracker.gate import source_of

HELD = "held"
"""In the query for a manifest: that of others is not wanted."""

PORT = "port"
"""In the query for a manifest: the port at which the caller can be asked for it later."""

REFERRED = 307

_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_LOCATION = re.compile(r"//(?:\[([0-9a-fA-F:.]{2,45})\]|([0-9.]{7,15})):([0-9]{1,5})/", re.ASCII)


class Referral(ProtocolError):
    """Another machine is to be asked: a fault where the question did not offer that."""

    def __init__(self, whence: str, address: Address) -> None:
        super().__init__(f"{whence} answered {REFERRED} and refers to {address}")
        self.address = address


class Referring:
    """The referrals of one process."""

    def __init__(self) -> None:
        self._referrals = Referrals()
        self._answering: list[asyncio.BaseTransport] = []

    async def referral(
        self, request: web.Request, artifact: ArtifactId, size_bytes: int
    ) -> web.Response | None:
        """Where the caller shall ask for this manifest; None if it is to be answered here, at once.
        UsageError."""
        asked, transport = request.query.get(PORT), request.transport
        if asked is None or transport is None:
            return None
        caller = source_of(request), port_of(asked)
        if size_bytes < REFERRED_BYTES_MIN or not is_dialable(caller[0]):
            return None
        loop = asyncio.get_running_loop()
        while (verdict := self._verdict(artifact, caller, loop.time())) == "later":
            await asyncio.sleep(TURN_LOOK_S)
        if verdict == "answer":
            self._answering.append(transport)
            return None
        reached = transport.get_extra_info("sockname") or ("",)
        host = reachable_host(verdict[0], asker=caller[0], reached=reached[0])
        location = f"//{Address(host, verdict[1])}{request.path}?{HELD}=1"
        headers = {hdrs.LOCATION: location, hdrs.CACHE_CONTROL: "no-store"}
        return web.Response(status=REFERRED, headers=headers)

    def _verdict(self, artifact: ArtifactId, caller: Caller, now: float) -> Verdict:
        self._answering = [each for each in self._answering if _unacknowledged_bytes(each) > 0]
        return self._referrals.ask(artifact, caller, len(self._answering), now)


def _unacknowledged_bytes(transport: asyncio.BaseTransport) -> int:
    """What was sent on a connection and has not arrived yet (tcp(7), SIOCOUTQ); 0 where the kernel
    does not tell, or the connection has ended."""
    sock = transport.get_extra_info("socket")
    if sock is None or transport.is_closing():
        return 0
    with contextlib.suppress(OSError, ValueError):
        left = array("i", [0])
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, left)
        return left[0]
    return 0


def port_of(text: str) -> int:
    """A port as a query gives it. UsageError."""
    port = int(text) if _PORT.fullmatch(text) else 0
    if not 0 < port < 65536:
        raise UsageError("query has no valid port of the caller")
    return port


def referral_in(location: str, whence: str) -> ProtocolError:
    """What a Location means: a Referral, of which only the address is taken, else a fault."""
    match = _LOCATION.match(location)
    if match is not None:
        host, port = match[1] or match[2], int(match[3])
        if is_dialable(host) and 0 < port < 65536:
            return Referral(whence, Address(host, port))
    told = f"{whence} answered {REFERRED} and refers to {location[:80]!a}"
    return ProtocolError(f"{told}, which is no machine's address")
