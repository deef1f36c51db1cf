"""How late the event loop is: everything a node does waits as long, and nothing else shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LOOK_EVERY_S = 0.5
"""How often the loop is asked to be on time. Lower: short waits are seen more often, and an idle
node wakes up as often; higher: a wait of a tenth of a second is seen by luck alone."""


async def watch(observe: Callable[[float], None]) -> None:
    """Tell, for ever, by how many seconds the loop was late."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + LOOK_EVERY_S
        await asyncio.sleep(LOOK_EVERY_S)
        observe(max(0.0, loop.time() - due_s))
