"""Why a machine is silent: a connection to its port, and a question that any process answers."""

from __future__ import annotations

import asyncio
import contextlib

from strew.telemetry.stragglers import Probe

CONNECT_WITHIN_S = 2.0
"""For a connection. Lower: one lost SYN, repeated after 1 s, makes a machine look cut off."""

ANSWER_WITHIN_S = 2.0
"""For the first byte: a process that lives answers in milliseconds, a busy one within a second."""

QUESTION = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def probe(host: str, port: int) -> Probe:
    """What is met at this address. Any answer will do, also the end of the connection: only a
    process that runs ends it, and one of profile strict ends what is no TLS at once."""
    try:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            reader, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return "refused"
    except OSError:  # no route, unreachable, or no answer in time
        return "cut-off"
    try:
        writer.write(QUESTION)
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await reader.read(1)
    except TimeoutError:
        return "stalled"
    except OSError:
        return "answers"
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return "answers"
