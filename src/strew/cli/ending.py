"""How commands that run for a while end: on a signal, with everything closed."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

EXIT_BY_SIGNAL = {signal.SIGTERM: 0, signal.SIGINT: 130}
"""A service that is told to end has done its work; Ctrl-C is 128 + SIGINT, as shells count it."""


@contextmanager
def signalled() -> Iterator[asyncio.Future[signal.Signals]]:
    """Inside, the first SIGTERM or SIGINT completes this future, for the command to end by itself;
    a second one ends the process at once."""
    loop = asyncio.get_running_loop()
    came: asyncio.Future[signal.Signals] = loop.create_future()

    def end(number: signal.Signals) -> None:
        came.set_result(number)
        release()

    def release() -> None:
        for number in EXIT_BY_SIGNAL:
            loop.remove_signal_handler(number)

    for number in EXIT_BY_SIGNAL:
        loop.add_signal_handler(number, end, number)
    try:
        yield came
    finally:
        release()


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
