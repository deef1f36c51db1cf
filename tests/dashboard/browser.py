"""A real browser on the dashboard of real processes: Debian's chromium, driven by playwright.

Every page remembers what its browser complained of. A test that expects no complaint is the rule:
leaving a page's context fails on any.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from tests.cli.processes import until

WITHIN_MS = 20_000.0
"""Longer than anything here takes on a busy machine."""

WIDE = (1280, 800)
PHONE = (390, 844)

OUR_OWN_LOOKING = "willReadFrequently"
"""In what the browser says of a canvas that a test reads again and again."""

Theme = Literal["dark", "light"]

_WATCH_POLICY = """
addEventListener("securitypolicyviolation", (event) =>
  console.error("policy broken: " + event.violatedDirective + " " + event.blockedURI));
"""

_FILLED = """(canvas) => {
  const { width, height } = canvas;
  const all = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const seen = {};
  // from behind the names to before the marks of state
  for (let y = 1; y < height; y += 3) {
    for (let x = Math.round(width * 0.2); x < width - 16; x += 3) {
      const at = 4 * (y * width + x);
      const [red, green, blue] = [all[at], all[at + 1], all[at + 2]];
      const most = Math.max(red, green, blue);
      if (most < 40) continue;  // a rule between two machines
      const kind = most < 50 ? "empty" : red === most ? "origin" : green === most ? "near" : "far";
      seen[kind] = (seen[kind] ?? 0) + 1;
    }
  }
  return seen;
}"""


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium, for as long as this context lasts."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium on PATH: 'make test-tools' installs it")
    # root may not have the sandbox; what it shows here is our own
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        shown = playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield shown
        finally:
            shown.close()


class Look:
    """One tab. `complaints` is what the browser's console had to say of it."""

    def __init__(self, page: Page, root: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._root = root
        page.set_default_timeout(WITHIN_MS)
        page.add_init_script(_WATCH_POLICY)
        page.on("console", lambda told: self._hear(told.type, told.text))
        page.on("pageerror", lambda error: self._hear("error", str(error)))

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and OUR_OWN_LOOKING not in text:
            self.complaints.append(f"{kind}: {text}")

    def go(self, view: str, token: str = "") -> None:
        """Open an address behind '#', as somebody who was sent it; with a token it is that which a
        process printed."""
        self.page.goto(f"{self._root}#token={token}&{view}" if token else f"{self._root}#{view}")

    @property
    def view(self) -> str:
        """The address behind '#'."""
        return str(self.page.evaluate("location.hash")).removeprefix("#")

    def text(self, place: str) -> str:
        """The words of the first such place, once it is there."""
        return self.page.locator(place).first.inner_text()

    def has(self, text: str) -> Locator:
        """Wait until some place shows this text."""
        found = self.page.get_by_text(text).first
        found.wait_for()
        return found

    def chunks(self) -> dict[str, int]:
        """How much of the map has which colour."""
        canvas = self.page.locator(".map-frame canvas")
        canvas.wait_for()
        return dict(canvas.evaluate(_FILLED))

    def filled(self) -> float:
        """The part of the map that is not empty, origin's line included."""
        seen = self.chunks()
        return 1.0 - seen.get("empty", 0) / max(1, sum(seen.values()))

    def becomes(self, view_part: str) -> None:
        """Wait until the address has this in it."""
        until(lambda: view_part in self.view, f"{view_part} in the address, not {self.view}")

    def picture(self, name: str, *, whole: bool = True) -> None:
        """Keep a screenshot where the run's artefacts are collected."""
        folder = Path(os.environ.get("STREW_SCREENSHOTS", "build/screenshots"))
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png", full_page=whole)


@contextmanager
def looking(
    shown: Browser, root: str, *, size: tuple[int, int] = WIDE, theme: Theme = "dark"
) -> Iterator[Look]:
    """A tab of its own, without anything of other tabs; fails if the browser complained."""
    width, height = size
    context = shown.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
    try:
        look = Look(context.new_page(), root)
        yield look
        assert not look.complaints, look.complaints
    finally:
        context.close()
