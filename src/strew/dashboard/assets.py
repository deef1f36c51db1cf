"""The dashboard's files over HTTP, and the rules a browser keeps to while it shows them.

They are read once and held in memory: some 400 kB, the same for everybody, and nothing of the fleet
is in them. What the page shows it asks of the API with a token of whoever looks at it. No file is
made on the way: there is no build, no template, and so nothing into which text could be put.

The policy (Content Security Policy Level 3, https://www.w3.org/TR/CSP3/) lets the page load
scripts, styles and data from its own origin alone. A name of a machine or a file that got past all
escaping still could not run, nor tell anybody outside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from aiohttp import hdrs, web

from strew.errors import NotFoundError
from strew.tracker.gate import Handler

PAGE: Final = "index.html"

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Of what is served; anything else in the folder (licences, notes) stays where it is."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # asked for again each time, and answered in a line while it has not changed: after an update
    # no browser mixes old modules with new ones
    hdrs.CACHE_CONTROL: "no-cache",
}

ETAG_HEX = 32
"""Digits of SHA-256 in an ETag: 128 bits are enough to tell two versions of a file apart."""


class Asset(NamedTuple):
    """One file as it is sent."""

    body: bytes
    kind: str
    etag: str


def assets() -> dict[str, Asset]:
    """All files that are served, by their path below /ui/."""
    return dict(_found(files("strew.dashboard") / "static", ""))


def handlers() -> dict[str, Handler]:
    """The dashboard's routes, by op of strew.access.routes."""
    known = assets()

    async def page(request: web.Request) -> web.Response:
        return _answer(request, known[PAGE])

    async def asset(request: web.Request) -> web.Response:
        found = known.get(request.match_info["path"])
        if found is None:
            raise NotFoundError("the dashboard has no such file", hint="it begins at /")
        return _answer(request, found)

    return {"page": page, "asset": asset}


def _found(folder: Traversable, above: str) -> Iterator[tuple[str, Asset]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _found(entry, f"{above}{entry.name}/")
            continue
        kind = TYPES.get(entry.name[entry.name.rfind(".") :])
        if kind is not None:
            body = entry.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:ETAG_HEX]}"'
            yield above + entry.name, Asset(body, kind, etag)


def _answer(request: web.Request, asset: Asset) -> web.Response:
    """The file, or word that the asker has it already (RFC 9110, section 13.1.2)."""
    headers = HEADERS | {hdrs.ETAG: asset.etag, hdrs.CONTENT_TYPE: asset.kind}
    if asset.etag in request.headers.get(hdrs.IF_NONE_MATCH, ""):
        return web.Response(status=304, headers=headers)
    return web.Response(body=asset.body, headers=headers)
