"""The pages of `strew top`: the list of transfers, and one transfer. Needs textual.

Keys do what the last line says. Everything is drawn from strew.telemetry.watched, at most four
times a second, and sorted once a second.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rich.color import Color
from rich.segment import Segment
from rich.style import Style as RichStyle
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Footer, Static

from strew.agent.client import NodeClient
from strew.cli import live
from strew.cli.chunkmap import COLOURS, Colour, pixels
from strew.cli.listing import STYLES, Listing
from strew.cli.painting import Line, Style, padded, plain
from strew.cli.watching import boards, look
from strew.content.digest import ArtifactId
from strew.errors import NotFoundError, ProtocolError, StrewError, UsageError
from strew.telemetry.protocol import Source
from strew.telemetry.view import MachineRow, TransferSummary
from strew.telemetry.watched import Watched

DRAW_EVERY_S = 0.25
SORT_EVERY_S = 1.0
LIST_EVERY_S = 2.0

MAP_LINES = (12, 24, 0)
"""Heights of the map that a key goes through; 0 is none."""

NAME_COLUMNS = 28


_STATES: dict[str, Style] = {"running": "accent", "done": "good", "partial": "bad"}


def text_of(lines: Sequence[Line]) -> Text:
    """Lines for a Static."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for number, line in enumerate(lines):
        text.append("\n" if number else "")
        for words, style in line:
            text.append(words, STYLES[style])
    return text


class Top(App[StrewError | None]):
    """Begins with the list, or with the transfer named. Its result is why it had to end."""

    TITLE = "strew top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
    ]
    CSS = """
    #head, #why, #titles { padding: 0 1; }
    #titles { text-style: bold; color: $text-muted; }
    #why { height: 2; color: $text-muted; }
    Listing { padding: 0 1; }
    ChunkMap { margin: 1 1; }
    """

    def __init__(
        self, client: NodeClient, artifact: ArtifactId | None = None, shown: str = ""
    ) -> None:
        super().__init__()
        self.client = client
        self._first = (artifact, shown) if artifact is not None else None

    def on_mount(self) -> None:
        self.push_screen(Transfers(self.client))
        if self._first is not None:
            self.push_screen(Transfer(self.client, *self._first))


class Transfers(Screen[None]):
    """What was and is being spread, newest first."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.quit", "quit", show=False)]

    def __init__(self, client: NodeClient) -> None:
        super().__init__()
        self._client = client
        self._found: list[TransferSummary] = []

    def compose(self) -> ComposeResult:
        yield Static("transfers", id="head")
        yield Static("", id="titles")
        yield Listing(id="transfers")
        yield Footer()

    def on_mount(self) -> None:
        self.set_interval(LIST_EVERY_S, self._look)
        self.call_later(self._look)

    async def _look(self) -> None:
        if not self.is_current:
            return
        head = self.query_one("#head", Static)
        try:
            self._found = await self._client.transfers()
        except (NotFoundError, ProtocolError, UsageError):
            head.update("this process lists no transfers: name one, strew top REF")
            return
        except StrewError as error:
            head.update(Text(plain(error.message), "red"))
            return
        count = len(self._found)
        head.update(f"{count} transfer{'' if count == 1 else 's'}, newest first; enter opens one")
        self.query_one("#titles", Static).update(
            f"{padded('NAME', NAME_COLUMNS)}{'SIZE':>11}  {'STATE':8}{'DONE':>14}"
            f"{'LAST':>10}{'x BOUND':>9}{'SENT':>8}"
        )
        self.query_one(Listing).show(count, self._line)

    def _line(self, number: int, columns: int) -> Line:
        of = self._found[number]
        last = "-" if of.seconds_last is None else live.duration(of.seconds_last)
        bound = "-" if of.ratio_to_bound is None else f"{of.ratio_to_bound:.2f}"
        sent = "-" if of.origin_sent_ratio is None else f"{of.origin_sent_ratio:.2f}"
        return (
            (padded(plain(of.reference) or of.artifact, NAME_COLUMNS), "bold"),
            (f"{live.size(of.size_bytes):>11}  ", ""),
            (f"{of.state:8}", _STATES[of.state]),
            (f"{f'{of.done} of {of.total}':>14}{last:>10}{bound:>9}{sent:>8}", ""),
        )

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        of = self._found[event.number]
        shown = plain(of.reference) or f"{of.artifact[:19]}…"
        self.app.push_screen(Transfer(self._client, of.artifact, shown))


Sorting = tuple[str, Callable[[MachineRow], Any]]

SORTINGS: tuple[Sorting, ...] = (
    ("progress", lambda row: (row.state == "seeding", row.have_chunks)),
    ("in", lambda row: -row.received_bytes_per_s),
    ("out", lambda row: -row.sent_bytes_per_s),
    ("zone", lambda row: (row.zone_index, row.have_chunks)),
    ("address", lambda row: (row.host, row.port)),
    ("silence", lambda row: -row.silent_s),
)
"""What machines can be sorted by; the first is what one looks for first: the least far."""


class Transfer(Screen[None]):
    """One transfer: its figures, its map, its machines, and why the one at the cursor lags."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "back", "back"),
        Binding("s", "sort", "sort by"),
        Binding("r", "reverse", "reverse"),
        Binding("l", "lagging", "stragglers"),
        Binding("m", "map", "map"),
        Binding("z", "zoom", "zoom"),
    ]

    def __init__(self, client: NodeClient, artifact: ArtifactId, shown: str) -> None:
        super().__init__()
        self._client, self._artifact, self._shown = client, artifact, shown
        self._watched: Watched | None = None
        self._changed = False
        self._sorting = 0
        self._reversed = False
        self._only_lagging = False
        self._map = 0
        self.order: list[MachineRow] = []

    def compose(self) -> ComposeResult:
        yield Static("", id="head")
        yield ChunkMap()
        yield Static("", id="titles")
        yield Listing(id="machines")
        yield Static("", id="why")
        yield Footer()

    def on_mount(self) -> None:
        self.run_worker(self._follow(), exclusive=True)
        self.set_interval(DRAW_EVERY_S, self._draw)
        self.set_interval(SORT_EVERY_S, self._sort)
        self.query_one(Listing).focus()

    async def _follow(self) -> None:
        """Take in what the tracker tells, until the page is left."""
        try:
            self._take(await look(self._client, self._artifact))
            self._sort()
            async for watched in boards(self._client, self._artifact):
                self._take(watched)
        except StrewError as error:
            self.app.exit(error)

    def _take(self, watched: Watched) -> None:
        self._watched, self._changed = watched, True

    # --- drawing ---------------------------------------------------------------------------------

    def _draw(self) -> None:
        watched = self._watched
        if watched is None or not self._changed:
            return
        self._changed = False
        columns = max(20, self.size.width - 2)
        self.query_one("#head", Static).update(text_of(live.figures(watched, self._shown, columns)))
        self.query_one(Listing).refresh()
        self._say_why()

    def _sort(self) -> None:
        """Put the machines in order. The cursor stays with its machine, once somebody moved it;
        before, it is on whichever comes first."""
        watched = self._watched
        if watched is None:
            return
        listing = self.query_one(Listing)
        at = self._selected() if listing.held else None
        if self._only_lagging:
            self.order = live.stragglers(watched)
        else:
            _, key = SORTINGS[self._sorting]
            self.order = [r for r in watched.machines if r.state != "gone"]
            self.order.sort(key=key)
        if self._reversed:
            self.order.reverse()
        cursor = next((n for n, row in enumerate(self.order) if row is at), None)
        listing.show(len(self.order), self._line, cursor)
        what = "stragglers" if self._only_lagging else f"by {SORTINGS[self._sorting][0]}"
        count = len(self.order)
        title = f"{count} MACHINE{'' if count == 1 else 'S'}, {what}"
        self.query_one("#titles", Static).update(
            f"{padded(title, 36)}{'HAS':>9}{'IN':>13}{'OUT':>13}{'DONE':>10}  WHY"
        )
        self.query_one(ChunkMap).show(watched, self._selected())

    def _line(self, number: int, columns: int) -> Line:
        row, watched = self.order[number], self._watched
        assert watched is not None
        ratio = row.have_chunks / max(1, watched.chunk_count)
        where = live.where_of(watched, row)
        if row.is_origin:
            return ((padded(where, 36), ""), ("   origin", "accent"))
        done = "-" if row.done_s is None else live.duration(row.done_s)
        word = "" if row.cause in live.NO_LAG and row.state == "fetching" else live.word_of(row)
        return (
            (padded(where, 36), ""),
            (f"{100 * ratio:7.1f} %", "good" if row.state == "seeding" else ""),
            (f"{live.rate(row.received_bytes_per_s):>13}", ""),
            (f"{live.rate(row.sent_bytes_per_s):>13}", ""),
            (f"{done:>10}  ", "dim"),
            (word, "dim" if row.state == "seeding" else "warn"),
        )

    def _selected(self) -> MachineRow | None:
        cursor = self.query_one(Listing).cursor
        return self.order[cursor] if cursor < len(self.order) else None

    def _say_why(self) -> None:
        row = self._selected()
        lines: list[Line] = []
        if row is not None and not row.is_origin:
            lines.append((
                (f"{row.id[:12]}  {row.state}, {row.neighbours} neighbours, received ", ""),
                (f"{live.size(row.received_bytes)}, sent {live.size(row.sent_bytes)}", ""),
            ))  # fmt: skip
            if row.cause not in live.NO_LAG or row.state in ("paused", "failed"):
                lines.append(((live.reason_of(row), "warn"),))
        self.query_one("#why", Static).update(text_of(lines))

    def on_listing_moved(self) -> None:
        self._say_why()
        chart = self.query_one(ChunkMap)
        if self._watched is not None and chart.zoomed:
            chart.show(self._watched, self._selected())

    # --- keys ------------------------------------------------------------------------------------

    def action_back(self) -> None:
        self.app.pop_screen()

    def action_sort(self) -> None:
        self._only_lagging = False
        self._sorting = (self._sorting + 1) % len(SORTINGS)
        self._sort()

    def action_reverse(self) -> None:
        self._reversed = not self._reversed
        self._sort()

    def action_lagging(self) -> None:
        self._only_lagging = not self._only_lagging
        self._sort()

    def action_map(self) -> None:
        self._map = (self._map + 1) % len(MAP_LINES)
        chart = self.query_one(ChunkMap)
        chart.styles.height = MAP_LINES[self._map]
        chart.display = MAP_LINES[self._map] > 0

    def action_zoom(self) -> None:
        chart = self.query_one(ChunkMap)
        chart.zoomed = not chart.zoomed
        self._sort()


class ChunkMap(Widget):
    """Columns of chunks from left to right, machines by zone and progress from top to bottom, two
    in a line: the whole fleet, or zoomed in those around the cursor."""

    DEFAULT_CSS = f"ChunkMap {{ height: {MAP_LINES[0]}; }}"

    def __init__(self) -> None:
        super().__init__()
        self.zoomed = False
        self._picture: list[list[Colour]] = []
        self._legend = ""

    def show(self, watched: Watched, selected: MachineRow | None) -> None:
        """Draw the machines as they are now."""
        columns, lines = self.size.width, 2 * (self.size.height - 1)
        if columns <= 0 or lines <= 0:
            return
        rows = [row for row in watched.machines if not row.is_origin and row.state != "gone"]
        rows.sort(key=lambda row: (row.zone_index, -row.have_chunks))
        self._legend = f"{len(rows)} machines, {watched.columns} columns of chunks"
        if not watched.columns:
            self._legend = "this tracker tells no map"
        if self.zoomed and len(rows) > lines:
            middle = next((n for n, row in enumerate(rows) if row is selected), 0)
            start = min(max(0, middle - lines // 2), len(rows) - lines)
            self._legend = f"machines {start + 1} to {start + lines} of {len(rows)}"
            rows = rows[start : start + lines]
        self._picture = pixels([row.cells for row in rows], columns, lines)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the screen; the last one says what the colours mean."""
        columns = self.size.width
        if y == self.size.height - 1:
            return self._key(columns)
        if 2 * y + 1 >= len(self._picture):
            return Strip.blank(columns)
        above, below = self._picture[2 * y], self._picture[2 * y + 1]
        return Strip(
            [
                Segment("▀", _style(upper, lower))
                for upper, lower in zip(above[:columns], below[:columns], strict=True)
            ]
        )

    def _key(self, columns: int) -> Strip:
        segments = [Segment(f"{self._legend}: ", STYLES["dim"])]
        for source in (Source.ORIGIN, Source.NEAR, Source.FAR, Source.LOCAL):
            segments.append(Segment("█", RichStyle(color=Color.from_rgb(*COLOURS[source]))))
            segments.append(Segment(f" {source.name.lower()}  ", STYLES["dim"]))
        return Strip(segments).adjust_cell_length(columns).apply_style(self.rich_style)


def _style(front: Colour, back: Colour) -> RichStyle:
    found = _styles.get((front, back))
    if found is None:
        if len(_styles) >= STYLES_MAX:
            _styles.clear()
        found = RichStyle(color=Color.from_rgb(*front), bgcolor=Color.from_rgb(*back))
        _styles[front, back] = found
    return found


STYLES_MAX = 10_000
"""Pairs of colours kept: making one takes longer than drawing it. Means of several cells have very
many."""

_styles: dict[tuple[Colour, Colour], RichStyle] = {}
