"""How commands that run for a while end: on a signal, with everything closed."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

EXIT_BY_SIGNAL = {signal.SIGTERM: 0, signal.SIGINT: 130}
"""A service that is told to end has done its work; Ctrl-C is 128 + SIGINT, as shells count it."""


async def until_signalled() -> signal.Signals:
    """Wait for SIGTERM or SIGINT. A second one ends the process at once."""
    loop = asyncio.get_running_loop()
    came: asyncio.Future[signal.Signals] = loop.create_future()

    def end(number: signal.Signals) -> None:
        if not came.done():
            came.set_result(number)

    for number in EXIT_BY_SIGNAL:
        loop.add_signal_handler(number, end, number)
    try:
        return await came
    finally:
        for number in EXIT_BY_SIGNAL:
            loop.remove_signal_handler(number)


@asynccontextmanager
async def interruptible() -> AsyncIterator[None]:
    """Inside, SIGTERM does what Ctrl-C does: everything is closed, then KeyboardInterrupt."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    told = False

    def end() -> None:
        nonlocal told
        told = True
        task.cancel()

    loop.add_signal_handler(signal.SIGTERM, end)
    try:
        yield
    except asyncio.CancelledError:
        if told:
            raise KeyboardInterrupt from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
