"""A list that fills its place on the screen, of any length: only what is seen is drawn."""

from collections.abc import Callable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from strew.cli.painting import Line, Style

STYLES: dict[Style, RichStyle] = {
    "": RichStyle.null(),
    "bold": RichStyle(bold=True),
    "dim": RichStyle(dim=True),
    "good": RichStyle(color="green"),
    "warn": RichStyle(color="yellow"),
    "bad": RichStyle(color="red"),
    "accent": RichStyle(color="cyan"),
}

CURSOR = RichStyle(reverse=True)

Draw = Callable[[int, int], Line]
"""The line of an entry, in so many columns."""


class Listing(ScrollView, can_focus=True):
    """Entries by number, one of which is the cursor's."""

    DEFAULT_CSS = "Listing { height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home,g", "go(0)", "first", show=False),
        Binding("end,G", "go(-1)", "last", show=False),
        Binding("enter", "choose", "open", show=False),
    ]

    cursor: reactive[int] = reactive(0)

    class Chosen(Message):
        """Enter was pressed on an entry, or it was clicked twice."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    class Moved(Message):
        """The cursor stands on another entry."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.held = False
        """Whether somebody put the cursor where it is: then it is to stay with its entry."""
        self._count = 0
        self._draw: Draw = lambda number, columns: ()

    def show(self, count: int, draw: Draw, cursor: int | None = None) -> None:
        """Show so many entries from now on."""
        self._count, self._draw = count, draw
        self.virtual_size = Size(self.size.width, count)
        self.cursor = min(max(0, self.cursor if cursor is None else cursor), max(0, count - 1))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        number, columns = y + round(self.scroll_y), self.size.width
        line: Line = self._draw(number, columns) if 0 <= number < self._count else ()
        at_cursor = number == self.cursor and bool(line) and self.has_focus
        strip = Strip([Segment(text, None if at_cursor else STYLES[of]) for text, of in line])
        strip = strip.adjust_cell_length(columns)
        return strip.apply_style(CURSOR if at_cursor else self.rich_style)

    def watch_cursor(self, _old: int, new: int) -> None:
        """Keep it in sight."""
        self.scroll_to_region(Region(0, new, 1, 1), animate=False, force=True)
        self.post_message(self.Moved())
        self.refresh()

    def action_move(self, by: int) -> None:
        self._hold(min(max(0, self.cursor + by), max(0, self._count - 1)))

    def action_page(self, by: int) -> None:
        self.action_move(by * max(1, self.size.height - 1))

    def action_go(self, number: int) -> None:
        self._hold(max(0, self._count - 1) if number < 0 else 0)

    def _hold(self, number: int) -> None:
        self.held, self.cursor = True, number

    def action_choose(self) -> None:
        if self._count:
            self.post_message(self.Chosen(self.cursor))

    def on_click(self, event: events.Click) -> None:
        """The first click is the cursor's, the second opens."""
        number = event.y + round(self.scroll_y)
        if 0 <= number < self._count:
            self._hold(number)
            if event.chain == 2:
                self.action_choose()
