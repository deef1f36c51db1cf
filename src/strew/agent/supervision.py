"""What a service manager is told: that the service is ready, that it lives, that it ends.

The protocol is sd_notify(3): datagrams of `NAME=value` lines to the socket that NOTIFY_SOCKET
names. Without that variable nobody asked, and nothing is sent. A manager that does not listen is
no reason for a service to fail.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

LIFE_SIGNS_PER_WATCHDOG = 3
"""Signs of life in the time after which the manager would kill: two may be late."""

US_PER_S = 1_000_000


class ServiceManager:
    """The one that started this process, if it wants to hear."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.life_sign_every_s: float | None = None
        """How often it must hear that the event loop turns; None if it does not ask for that."""
        period = environment.get("WATCHDOG_USEC", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        if self._address and mine and period.isascii() and period.isdigit() and int(period) > 0:
            self.life_sign_every_s = int(period) / US_PER_S / LIFE_SIGNS_PER_WATCHDOG

    def tell(self, *lines: str) -> None:
        """One message, such as `READY=1`."""
        if not self._address.startswith(("/", "@")):
            return
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]  # Linux's abstract names, see unix(7)
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto("\n".join(lines).encode(), address)

    async def _live(self, every_s: float) -> None:
        while True:
            self.tell("WATCHDOG=1")
            await asyncio.sleep(every_s)


@asynccontextmanager
async def supervised(status: str) -> AsyncIterator[None]:
    """Ready, and alive as long as the event loop turns, while this context lasts; then ending.

    `status` is one line that `systemctl status` shows.
    """
    manager = ServiceManager(os.environ)
    manager.tell("READY=1", f"STATUS={status}")
    alive: asyncio.Task[None] | None = None
    if manager.life_sign_every_s is not None:
        alive = asyncio.create_task(manager._live(manager.life_sign_every_s), name="signs of life")
    try:
        yield
    finally:
        manager.tell("STOPPING=1")
        if alive is not None:
            alive.cancel()
