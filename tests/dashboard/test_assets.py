"""The dashboard's files: all of them, by the rules of HTTP, and nothing its policy forbids."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import PurePosixPath

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from strew.dashboard.assets import PAGE, POLICY, assets, handlers
from strew.tracker.gate import Gate, RequestMetrics
from tests.agent.test_fetches import KEY

LINES_MAX = 500
"""Of a module of ours, as of Python's."""

FILES = assets()
OWN = {path: asset for path, asset in FILES.items() if not path.startswith("vendor/")}
SCRIPTS = [path for path in OWN if path.endswith(".js")]

IMPORT = re.compile(r"""(?:^|\s)(?:import|export)\b[^"'`;]*?from\s*["']([^"']+)["']""")


@asynccontextmanager
async def served() -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """The files behind a gate, as in any process, and a way to ask for them."""
    gate = Gate(KEY, RequestMetrics(CollectorRegistry()))
    app = web.Application(middlewares=[gate.strangers])
    app.add_routes(gate.routes(handlers()))
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession() as session:
            yield session, f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def text_of(path: str) -> str:
    return FILES[path].body.decode()


def imports_of(path: str) -> list[str]:
    """The files that a module imports, by their path below /ui/."""
    folder = PurePosixPath(path).parent
    found = []
    for named in IMPORT.findall(text_of(path)):
        parts: list[str] = []
        for part in (folder / named).parts:
            if part == "..":
                parts.pop()
            else:
                parts.append(part)
        found.append("/".join(parts))
    return found


@pytest.mark.parametrize("path", SCRIPTS)
def test_what_a_module_imports_is_served(path: str) -> None:
    assert not [named for named in imports_of(path) if named not in FILES]


def test_every_module_is_reached_from_the_first() -> None:
    reached, due = {"app.js"}, ["app.js"]
    while due:
        new = set(imports_of(due.pop())) - reached
        reached |= new
        due += new
    assert reached == {path for path in FILES if path.endswith(".js")}


def test_what_the_page_names_is_served_and_nothing_in_it_is_inline() -> None:
    page = text_of(PAGE)
    named = re.findall(r'(?:href|src)="/ui/([^"]+)"', page)
    assert "app.js" in named
    assert not [path for path in named if path not in FILES]
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    assert not re.search(r"<script(?![^>]*\ssrc=)", page)


def test_the_page_asks_for_all_modules_at_once() -> None:
    """Else each is found only when the one before it was read: a round trip for each step."""
    named = re.findall(r'rel="modulepreload" href="/ui/([^"]+)"', text_of(PAGE))
    assert {*named, "app.js"} == {path for path in FILES if path.endswith(".js")}


@pytest.mark.parametrize("path", SCRIPTS)
def test_no_module_makes_markup_of_text_or_asks_elsewhere(path: str) -> None:
    text = text_of(path)
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert forbidden not in text
    assert "dangerouslySetInnerHTML" not in text
    assert not re.search(r"https?://(?!html\.spec\.whatwg\.org)", text)


@pytest.mark.parametrize("path", sorted(OWN))
def test_a_file_is_short_and_says_what_it_is_for(path: str) -> None:
    lines = text_of(path).splitlines()
    assert len(lines) <= LINES_MAX
    if path.endswith((".js", ".css")):
        assert lines[0].startswith(("// ", "/* "))


async def test_files_come_with_their_type_and_the_rules_of_the_page() -> None:
    async with served() as (session, url):
        for path, kind in (("/", "text/html"), ("/ui/app.js", "text/javascript")):
            async with session.get(url + path) as answer:
                assert answer.status == 200
                assert answer.content_type == kind
                assert answer.charset == "utf-8"
                assert answer.headers["Content-Security-Policy"] == POLICY
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert "unsafe" not in POLICY


async def test_who_has_a_file_is_told_so_and_sent_nothing() -> None:
    async with served() as (session, url):
        async with session.get(f"{url}/ui/app.js") as first:
            etag = first.headers["ETag"]
        headers = {"If-None-Match": etag}
        async with session.get(f"{url}/ui/app.js", headers=headers) as again:
            assert (again.status, await again.read()) == (304, b"")
        async with session.get(f"{url}/ui/live/api.js", headers=headers) as another:
            assert another.status == 200


@pytest.mark.parametrize(
    "path", ["none.js", "../assets.py", "%2e%2e/assets.py", "vendor/README.md", "vendor", ""]
)
async def test_nothing_else_is_served(path: str) -> None:
    async with served() as (session, url), session.get(f"{url}/ui/{path}") as answer:
        assert answer.status == 404
        assert answer.content_type == "application/problem+json"
