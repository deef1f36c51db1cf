"""What the dashboard costs the browser of whoever looks: a transfer to a thousand machines.

    python -m bench.dashboard [--nodes 1000] [--seconds 60] [--spread FILE] [--json]

A real `strew serve` hears of machines that are not there (bench.crowd), and Debian's chromium
looks at the transfer through playwright, without a graphics card. Figures:

* first paint: from the request for the page to its first text on the screen, and to the map of
  chunks with all machines in it;
* frames a second of the map while the wheel zooms and pans it without a pause and updates come in,
  and the longest time between two frames;
* memory: what the page's process holds for itself (its private pages), and JavaScript's heap.

Needs the `dev` extra and chromium on PATH. Two cores are shared by tracker, crowd and browser.
"""

import argparse
import asyncio
import itertools
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from bench.figures import MIB, surroundings
from bench.processes import Processes

MARKS = {"first_paint_s": 1.0, "frames_per_s": 10.0, "private_mib": 150.0}

LOOK_AFTER_S = 6.0
"""After the publication: chunks are on their way to everybody."""

MAP_WITHIN_S = 60.0

WHEEL_S = 15.0
WHEEL_EVERY_S = 0.03

REFERENCE = "crowd:v1"
TRANSFER = (
    *("--size", "2GB", "--chunks", "500", "--rate", "1Gbit"),
    *("--slow", "5", "--silent", "3", "--paused", "1", "--bad", "2"),
)
"""What is played: twice as many chunks as the map has columns, and some machines that lag."""

_WATCH = """
const marks = (window.seen = { frames: [], map: null });
const clear = CanvasRenderingContext2D.prototype.clearRect;
CanvasRenderingContext2D.prototype.clearRect = function (...box) {
  if (this.canvas.closest(".map-frame")) {
    marks.frames.push(performance.now());
    marks.map ??= performance.now();
  }
  return clear.apply(this, box);
};
"""


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures of one run."""
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes:
        words = ("serve", "--listen", "127.0.0.1:0", "--data", f"{folder}/serve", "--json")
        serve = processes.python("-m", "strew", *words)
        listening = serve.wait_for("listening")
        root, _, token = str(listening["dashboard"]).partition("#token=")
        os.environ["STREW_FLEET_KEY"] = (Path(folder) / "serve/fleet.key").read_text().strip()
        crowd = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.crowd", "--at", root.split("/")[2]),
            *("--nodes", str(options.nodes), "--seconds", str(options.seconds)),
            *("--name", REFERENCE, "--racks", str(options.racks), *TRANSFER),
            *(("--spread", str(options.spread)) if options.spread else ()),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert crowd.stdout is not None
            while line := await crowd.stdout.readline():
                if line.startswith(b"published"):
                    break
            else:
                raise SystemExit("bench.dashboard: the crowd ended before it published")
            await asyncio.sleep(LOOK_AFTER_S)
            return await look(f"{root}#token={token}&/transfer/{REFERENCE}", options)
        finally:
            if crowd.returncode is None:
                crowd.terminate()
                await crowd.wait()


async def look(address: str, options: argparse.Namespace) -> dict[str, Any]:
    """What a browser finds at the address."""
    path = shutil.which("chromium")
    if path is None:
        raise SystemExit("bench.dashboard: no chromium on PATH")
    async with async_playwright() as playwright:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await playwright.chromium.launch(executable_path=path, args=flags)
        try:
            page = await browser.new_page(viewport={"width": 1280, "height": 800})
            await page.add_init_script(_WATCH)
            await page.goto(address)
            # asked again and again: the page's policy lets nobody put a condition into it
            async with asyncio.timeout(MAP_WITHIN_S):
                while await page.evaluate("seen.map") is None:
                    await asyncio.sleep(0.02)
            first_s = await page.evaluate(
                "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"
            )
            map_s = await page.evaluate("seen.map / 1000")
            machines = await page.evaluate(
                "Number.parseInt(document.querySelector('.map-frame canvas').ariaLabel)"
            )
            frames = await wheel(page)
            if options.picture:
                await page.screenshot(path=options.picture)
            return {
                "machines": machines,
                "first_paint_s": first_s,
                "map_s": map_s,
                **frames,
                **await memory(browser, page),
            }
        finally:
            await browser.close()


async def wheel(page: Page) -> dict[str, float]:
    """Zoom in and out and pan, as fast as a hand does, while updates come."""
    canvas = page.locator(".map-frame canvas")
    await canvas.focus()
    box = await canvas.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    first = await page.evaluate("seen.frames.length")
    began_s = time.monotonic()
    turn = 0
    while time.monotonic() - began_s < WHEEL_S:
        turn += 1
        # in for a while, then out: near the end of either the map moves less
        await page.mouse.wheel(0, -100 if turn % 40 < 20 else 100)
        await asyncio.sleep(WHEEL_EVERY_S)
    seconds = time.monotonic() - began_s
    frames = (await page.evaluate("seen.frames"))[first:]
    gaps = [after - before for before, after in itertools.pairwise(frames)]
    return {
        "frames_per_s": len(frames) / seconds,
        "gap_p99_ms": sorted(gaps)[len(gaps) * 99 // 100] if gaps else float("inf"),
        "gap_max_ms": max(gaps, default=float("inf")),
    }


async def memory(browser: Browser, page: Page) -> dict[str, float]:
    """Of the page's own process, after a collection of garbage."""
    session = await page.context.new_cdp_session(page)
    await session.send("HeapProfiler.collectGarbage")
    heap = await session.send("Runtime.getHeapUsage")
    whole = await browser.new_browser_cdp_session()
    processes = (await whole.send("SystemInfo.getProcessInfo"))["processInfo"]
    private = [_private_bytes(of["id"]) for of in processes if of["type"] == "renderer"]
    return {"private_mib": max(private) / MIB, "heap_mib": heap["usedSize"] / MIB}


def _private_bytes(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in rollup if line.startswith("Private_"))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.dashboard", description=(__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add("--nodes", type=int, default=1000)
    add("--racks", type=int, default=12, help="zones")
    add("--seconds", type=float, default=60.0, help="that the transfer is played in")
    add("--spread", type=Path, help="a kept run of bench.crowd")
    add("--picture", type=Path, help="where to put a screenshot")
    add("--json", action="store_true")
    options = parser.parse_args()
    figures = asyncio.run(measure(options))
    if options.json:
        print(json.dumps({"type": "result", **surroundings(), **figures}))
        return 0
    for name, value in surroundings().items():
        print(f"{name:9} {value}")
    for name, value in figures.items():
        mark = MARKS.get(name)
        bound = "" if mark is None else f"   ({'≥' if name == 'frames_per_s' else '≤'} {mark:g})"
        print(f"{name:14} {value:.4g}{bound}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
