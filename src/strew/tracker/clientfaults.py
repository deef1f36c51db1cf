"""What the HTTP server logs of clients that send no request, or leave in the middle of one.

aiohttp answers bytes that are no request with 400 and ends the connection, before any route is
looked for; who leaves gets nothing. To its log it writes a traceback each time. Anybody can do that
to an open port, as often as they like, so here it is one line, and only for those who look for it.
"""

import logging
from typing import Any

from aiohttp.http_exceptions import HttpProcessingError

SHOWN_CHARS_MAX = 120
"""Of a complaint, which may quote the bytes that it is about."""


class ClientFaults(logging.LoggerAdapter[logging.Logger]):
    """The logger of an HTTP server: all but such faults passes unchanged."""

    def exception(self, msg: object, *args: object, exc_info: Any = True, **more: Any) -> None:
        """Log an exception; one that is the client's fault as a line for debugging."""
        if isinstance(exc_info, HttpProcessingError):
            complaint = exc_info.message
        elif isinstance(exc_info, ConnectionError):
            complaint = str(exc_info)
        else:
            super().exception(msg, *args, exc_info=exc_info, **more)
            return
        shown = ascii(" ".join(complaint.split())[:SHOWN_CHARS_MAX])[1:-1]
        self.debug("no whole request from %s: %s", *args, shown)


client_faults = ClientFaults(logging.getLogger("aiohttp.server"))
