"""The pages of `strew top`, driven by textual's pilot, against a real tracker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from strew.agent.client import HOST_HEADER, NodeClient
from strew.cli.fullscreen import SORTINGS, ChunkMap, Top, Transfer, Transfers
from strew.cli.listing import Listing
from strew.content.digest import ArtifactId
from strew.content.reference import Address
from strew.errors import NotFoundError, StrewError
from tests.cli.crowds import NODES, REFERENCE, Crowd

WITHIN_S = 20.0

Page = Pilot[StrewError | None]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    of = Crowd(tmp_path_factory.mktemp("crowd"), seconds=3.0, paused=1)
    yield of
    of.stop()


@asynccontextmanager
async def opened(crowd: Crowd, artifact: ArtifactId | None = None) -> AsyncIterator[Page]:
    """The page in 110 columns and 45 lines; with an artifact, its transfer above the list."""
    async with aiohttp.ClientSession(headers=HOST_HEADER) as session:
        client = NodeClient(session, crowd.address, crowd.key)
        async with Top(client, artifact, REFERENCE).run_test(size=(110, 45)) as pilot:
            yield pilot


async def until(pilot: Page, true: Callable[[], object], what: str) -> None:
    async with asyncio.timeout(WITHIN_S) as scope:
        while not true():
            await pilot.pause(0.05)
    assert not scope.expired(), what


def text_of(pilot: Page, name: str) -> str:
    return str(pilot.app.screen.query_one(name, Static).render())


def transfer(pilot: Page) -> Transfer:
    screen = pilot.app.screen
    assert isinstance(screen, Transfer)
    return screen


def line_of(pilot: Page, number: int) -> str:
    """A line of the list, as it is on the screen."""
    return pilot.app.screen.query_one(Listing).render_line(number).text


async def test_from_the_list_into_a_transfer_and_back(crowd: Crowd) -> None:
    async with opened(crowd) as pilot:
        await until(pilot, lambda: "1 transfer" in text_of(pilot, "#head"), "the list")
        assert line_of(pilot, 0).startswith(REFERENCE)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Transfer), "the page")
        await until(pilot, lambda: len(transfer(pilot).order) == NODES + 1, "the machines")
        await until(pilot, lambda: REFERENCE in text_of(pilot, "#head"), "the figures")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, Transfers), "the list again")
        await pilot.press("q")
    assert pilot.app.return_value is None


async def test_machines_are_sorted_and_the_cursor_stays_with_its_own(crowd: Crowd) -> None:
    async with opened(crowd, ArtifactId(crowd.artifact)) as pilot:
        await until(pilot, lambda: len(transfer(pilot).order) == NODES + 1, "the machines")
        have = [row.have_chunks for row in transfer(pilot).order if row.state == "fetching"]
        assert have == sorted(have)
        for name, _ in SORTINGS[1:4]:
            await pilot.press("s")
            assert f"by {name}" in text_of(pilot, "#titles")
        zones = [row.zone_index for row in transfer(pilot).order]
        assert zones == sorted(zones)
        await pilot.press("s", "down", "down")
        listing = pilot.app.screen.query_one(Listing)
        chosen = transfer(pilot).order[listing.cursor]
        await pilot.press("r")
        assert transfer(pilot).order[listing.cursor] is chosen
        assert chosen.id[:12] in text_of(pilot, "#why")
        await pilot.press("end")
        assert listing.cursor == NODES
        await pilot.press("home", "pagedown")
        assert listing.cursor > 2


async def test_the_map_fills_can_grow_and_be_put_away(crowd: Crowd) -> None:
    async with opened(crowd, ArtifactId(crowd.artifact)) as pilot:
        await until(
            pilot, lambda: f"{NODES - 1} done, 1 paused" in text_of(pilot, "#head"), "the end"
        )
        chart = pilot.app.screen.query_one(ChunkMap)
        await until(pilot, lambda: "▀" in chart.render_line(0).text, "the map")
        colours = {str(segment.style) for y in range(6) for segment in chart.render_line(y)}
        assert len(colours) >= 2  # from near, from far
        legend = chart.render_line(chart.size.height - 1).text
        assert legend.startswith(f"{NODES} machines, 60 columns of chunks:")
        low = chart.size.height
        await pilot.press("m")
        await until(pilot, lambda: chart.size.height > low, "a higher map")
        await pilot.press("z")
        assert chart.zoomed
        await pilot.press("m")
        await until(pilot, lambda: not chart.display, "no map")


async def test_stragglers_alone_with_their_cause(crowd: Crowd) -> None:
    async with opened(crowd, ArtifactId(crowd.artifact)) as pilot:
        await until(pilot, lambda: "1 paused" in text_of(pilot, "#head"), "the full disk")
        await pilot.press("l")
        assert "1 MACHINE, stragglers" in text_of(pilot, "#titles")
        await until(pilot, lambda: "paused" in line_of(pilot, 0), "the straggler")
        assert "no space left on the device; " in text_of(pilot, "#why")


async def test_what_is_not_there_ends_the_page_with_the_reason(crowd: Crowd) -> None:
    async with opened(crowd, ArtifactId("blake3:" + "0" * 64)) as pilot:
        await until(pilot, lambda: not pilot.app.is_running, "the end")
    assert isinstance(pilot.app.return_value, NotFoundError)


async def test_a_tracker_that_is_gone_is_told_on_the_list() -> None:
    async with aiohttp.ClientSession(headers=HOST_HEADER) as session:
        client = NodeClient(session, Address("127.0.0.1", 9), None)
        async with Top(client).run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "cannot be reached" in text_of(pilot, "#head"), "the error")
