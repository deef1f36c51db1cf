"""A process's referrals: callers of a crowd are answered, or sent on (strew.announce.referral)."""

import asyncio
import contextlib
import fcntl
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
from strew.tracker.gate import port_of, source_of
from strew.tracker.location import PORT, REFERRED, location_of


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
        transport = request.transport
        if PORT not in request.query or transport is None:
            return None
        caller = source_of(request), port_of(request)
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
        location = location_of(Address(host, verdict[1]), request.path)
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
