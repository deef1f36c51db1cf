"""A transfer on a screen while it goes on: drawn again as it changes, for `push` and `status`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from strew.agent.client import NodeClient
from strew.cli import live
from strew.cli.painting import plain
from strew.cli.progress import TERMINAL_INTERVAL_S
from strew.cli.screen import Screen
from strew.cli.watching import boards, look
from strew.content.digest import ArtifactId
from strew.errors import StrewError
from strew.telemetry.watched import Watched


class Showing:
    """What is shown of one transfer, called `name`, and the task that goes on showing it."""

    def __init__(self, screen: Screen, name: str) -> None:
        self._screen = screen
        self._name = plain(name)
        self._latest: Watched | None = None
        self._was_over = False
        self._changed = False

    async def go_on(
        self, client: NodeClient, artifact: ArtifactId, *, trackerless: bool = False
    ) -> None:
        """Show until cancelled. NotFoundError, UnavailableError as strew.cli.watching.boards."""
        drawing = asyncio.create_task(self._draw_often(), name="screen")
        try:
            async for watched in boards(client, artifact, trackerless=trackerless):
                self._latest, self._changed = watched, True
        finally:
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)
            if self._latest is not None and self._changed:
                self.draw(self._latest)

    async def _draw_often(self) -> None:
        """A ticker rather than a drawing at each change: the last one of a burst counts too."""
        while True:
            latest = self._latest
            if latest is not None and self._changed:
                ended = latest.progress.over and not self._was_over
                if self._screen.is_due() or ended:
                    self._was_over = latest.progress.over
                    self.draw(latest)
            await asyncio.sleep(TERMINAL_INTERVAL_S / 2)

    def draw(self, watched: Watched) -> None:
        """Show this state now."""
        self._changed = False
        if self._screen.live:
            columns, lines = self._screen.size
            self._screen.draw(live.block(watched, self._name, columns, lines))
        else:
            self._screen.draw([live.line(watched, self._name)])

    def end(self, watched: Watched) -> None:
        """Show the last state; a log that has it already is not told twice."""
        if self._screen.live or not self._was_over:
            self.draw(watched)


@asynccontextmanager
async def shown(
    client: NodeClient, artifact: ArtifactId, screen: Screen, name: str
) -> AsyncIterator[None]:
    """Show a transfer beside what is done inside, and how it ended. That it cannot be shown is no
    reason to stop."""
    if screen.stream is None:
        yield
        return
    showing = Showing(screen, name)
    if not screen.live:
        screen.wait_from_now()
    task = asyncio.create_task(showing.go_on(client, artifact), name="showing")
    try:
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        try:
            showing.end(await look(client, artifact))
        except StrewError:
            pass  # the last state that was seen stays
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        screen.leave()
