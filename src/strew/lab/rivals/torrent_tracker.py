"""A BitTorrent tracker for one torrent, as a process: python -m strew.lab.rivals.torrent_tracker
HOST PORT.

It names everybody to everybody (BEP 3, compact answers of BEP 23). It says in lines of JSON when
its port is open, and whom it heard for the first time.
"""

import json
import socket
import sys

from aiohttp import web

from strew.lab.rivals.metainfo import ANNOUNCE_PATH, bencode

INTERVAL_S = 5
"""When a client asks again. Those that asked first learn of the others by being called."""

PORT_MAX = 0xFFFF


class Tracker:
    """Who has announced itself, in the order of the first announcement."""

    def __init__(self) -> None:
        self._peers: dict[bytes, None] = {}

    async def announce(self, request: web.Request) -> web.Response:
        """Remember the caller and name all others; a client that stops is forgotten."""
        host, port = request.remote or "", request.query.get("port", "")
        if not (port.isascii() and port.isdigit() and 0 < int(port) <= PORT_MAX):
            return web.Response(body=bencode({"failure reason": "port is missing or not a number"}))
        peer = socket.inet_aton(host) + int(port).to_bytes(2, "big")
        others = b"".join(each for each in self._peers if each != peer)
        if request.query.get("event") == "stopped":
            self._peers.pop(peer, None)
        elif peer not in self._peers:
            self._peers[peer] = None
            say("announced", host=host)
        return web.Response(body=bencode({"interval": INTERVAL_S, "peers": others}))


def say(kind: str, **facts: object) -> None:
    """One JSON line."""
    sys.stdout.write(json.dumps({"type": kind, **facts}) + "\n")
    sys.stdout.flush()


def serve(host: str, port: int) -> None:
    """Answer until ended."""
    app = web.Application()
    app.router.add_get(ANNOUNCE_PATH, Tracker().announce)

    web.run_app(
        app, host=host, port=port, access_log=None, print=lambda *_: say("listening", port=port)
    )


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
