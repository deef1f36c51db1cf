"""The dashboard in a real browser, on a real fleet."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.cli.processes import until
from tests.dashboard.browser import PHONE, Look, Theme, browser, looking
from tests.machines import Fleet, Machine

SIZE_BYTES = 40_000_000
RATE = "4M"
"""Of each link: the file takes ten seconds over one, and the map is seen to fill. On a busy machine
a browser needs several of them to open the page."""

ZONES = {"one": "rack-1", "two": "rack-1", "three": "rack-2", "four": "rack-2"}

ODD_NAME = "<b onclick=alert(1)>odd"
"""Of a file: markup, where it is taken for any."""

WITHIN_S = 40.0
"""For a transfer of that size, on a machine that does other things too."""

VIEWS = ("/", "/transfer/app:odd", "/artifact/app:odd", "/members")


class Shown:
    """A fleet whose dashboard one looks at."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        told = str(fleet.serve.event("listening")["dashboard"])
        self.root, _, self.token = told.partition("#token=")
        self.ids: dict[str, str] = {}

    def learn(self) -> None:
        """The ids of the nodes, by their names."""
        by_port = {node["port"]: node["id"] for node in self.fleet.api.json("nodes")}
        self.ids = {name: by_port[of.port] for name, of in self.fleet.machines.items()}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Four nodes in two zones."""
    with Fleet(tmp_path_factory.mktemp("shown"), "--rate-up", RATE) as fleet:
        for name, zone in ZONES.items():
            fleet.node(name, "--rate", RATE, "--zone", zone)
        fleet.knows(*ZONES)
        shown = Shown(fleet)
        shown.learn()
        yield shown


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def done(shown: Shown) -> Shown:
    """The same fleet, once it has a small file with an odd name."""
    path = shown.fleet.folder / ODD_NAME
    path.write_bytes(random.Random(3).randbytes(400_000))
    manifest = shown.fleet.push(path, "app:odd")
    for machine in shown.fleet.machines.values():
        machine.done(manifest.id, within_s=WITHIN_S)
    return shown


def publish(shown: Shown, reference: str, seed: int) -> str:
    path = shown.fleet.folder / f"app-{seed}.img"
    path.write_bytes(random.Random(seed).randbytes(SIZE_BYTES))
    return shown.fleet.push(path, reference).id


def share_of(machine: Machine, artifact: str) -> float:
    transfer = machine.api.transfer(artifact)
    return float(transfer.get("have_chunks", 0) / max(1, transfer.get("chunk_count", 1)))


@pytest.mark.timeout(120)
def test_a_transfer_is_seen_from_its_first_chunk_to_its_last(
    shown: Shown, chromium: Browser
) -> None:
    """With a machine that is killed in the middle, and comes back."""
    victim = shown.fleet.machines["four"]
    with looking(chromium, shown.root) as look:
        look.go("/", shown.token)
        look.has("Transfers")
        artifact = publish(shown, "app:1", 1)
        look.page.get_by_role("link", name="app:1").click()
        look.becomes("/transfer/app:1")
        look.has("of 4 machines")
        first = look.filled()
        assert first < 0.75, "the origin has a fifth of the map"

        victim.reaches(artifact, 0.1, within_s=WITHIN_S)
        victim.kill()
        until(lambda: look.filled() > first + 0.15, "the map to fill", WITHIN_S)
        seen = look.chunks()
        assert seen["near"] and seen["far"] and seen["origin"]
        look.picture("transfer-running")

        row = look.page.get_by_role("table", name="stragglers").locator("tr", has_text="ended")
        row.first.wait_for(timeout=1000 * WITHIN_S)
        assert f":{victim.port}" in row.first.inner_text()
        assert "start it again" in row.first.inner_text(), "what to do about it"
        look.picture("transfer-straggler")

        port = victim.port
        victim.start()
        assert victim.port != port
        victim.done(artifact, within_s=WITHIN_S)
        look.has("every machine has it")
        look.picture("transfer-over")
        until(lambda: look.filled() > 0.97, "the map to be full")
        assert curve_at_the_end(look) == "100 %"
        assert look.text(".many").split() == ["4", "of", "4", "machines"]


def curve_at_the_end(look: Look) -> str:
    """What the chart of machines says where its line ends."""
    chart = look.page.get_by_role("img", name="machines done").locator(".u-over")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    value = look.page.get_by_role("img", name="machines done").locator(".u-series .u-value").nth(1)
    for part in range(98, 2, -2):
        look.page.mouse.move(box["x"] + box["width"] * part / 100, box["y"] + box["height"] / 2)
        text = value.inner_text()
        if text.endswith("%"):
            return text
    return ""


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_view_stands_in_either_light(done: Shown, chromium: Browser, theme: Theme) -> None:
    with looking(chromium, done.root, theme=theme) as look:
        look.go("/", done.token)
        look.has("app:odd")
        assert look.page.evaluate("getComputedStyle(document.body).color")
        look.picture(f"transfers-{theme}")
        for view, heading in (
            ("/artifact/app:odd", ODD_NAME),
            ("/members", "Members"),
            (f"/machine/{done.ids['one']}", "127.0.0.1:"),
            ("/transfer/app:odd", "app:odd"),
            ("/report/app:odd", "Where the time went"),
        ):
            look.go(view)
            until(lambda heading=heading: heading in look.text("h1"), heading)
            look.has("copy as JSON")
            name = view.strip("/").partition("/")[0]
            look.picture(f"{name}-{theme}")
        lightness = look.page.evaluate(
            "Number.parseInt(getComputedStyle(document.documentElement)"
            ".getPropertyValue('--bg').trim().slice(1, 3), 16)"
        )
        assert (lightness > 128) is (theme == "light")


def test_a_name_with_markup_is_shown_and_not_obeyed(done: Shown, chromium: Browser) -> None:
    with looking(chromium, done.root) as look:
        look.go("/artifact/app:odd", done.token)
        assert look.has(ODD_NAME).is_visible()
        assert look.page.locator("b[onclick]").count() == 0


def test_an_address_restores_what_it_was_copied_from(done: Shown, chromium: Browser) -> None:
    one = done.ids["one"]
    with looking(chromium, done.root) as look:
        look.go(f"/transfer/app:odd?zone=rack-1&sort=name&row={one}", done.token)
        zone = look.page.get_by_role("combobox", name="zone", exact=False).first
        sort = look.page.get_by_role("combobox", name="sort by")
        assert (zone.input_value(), sort.input_value()) == ("rack-1", "name")
        spoken = look.page.locator(".map [role=status]")
        assert f":{done.fleet.machines['one'].port}, 100 %" in spoken.inner_text()
        zone.select_option("rack-2")
        sort.select_option("trouble")
        look.becomes("zone=rack-2&sort=trouble")
        copied = look.view
        look.page.reload()
        assert (zone.input_value(), sort.input_value()) == ("rack-2", "trouble")
        assert look.view == copied
        look.go("/members")
        look.has("Hash table")
        look.page.go_back()
        look.becomes(copied)
        look.has("of 4 machines")


def test_everything_is_done_by_keys_alone(done: Shown, chromium: Browser) -> None:
    with looking(chromium, done.root) as look:
        keys = look.page.keyboard
        look.go("/", done.token)
        look.has("app:odd")
        keys.press("Tab")
        assert look.page.evaluate("document.activeElement.textContent") == "to the content"
        keys.press("?")
        look.page.get_by_role("dialog").wait_for()
        keys.press("Escape")
        look.page.get_by_role("dialog").wait_for(state="detached")
        keys.press("/")
        keys.type("odd")
        look.page.get_by_role("option").first.wait_for()
        keys.press("Enter")
        look.becomes("/transfer/app:odd")
        look.has("of 4 machines")
        look.page.locator(".map-frame canvas").focus()
        keys.press("ArrowDown")
        keys.press("ArrowDown")
        keys.press("ArrowRight")
        look.becomes("row=")
        row = look.view.partition("row=")[2][:32]
        assert row in done.ids.values()
        keys.press("Enter")
        look.becomes(f"/machine/{row}")
        look.has("What happened there")
        keys.press("g")
        keys.press("m")
        look.becomes("/members")
        was = look.page.evaluate("document.documentElement.dataset.theme")
        keys.press("t")
        theme = "document.documentElement.dataset.theme"
        until(lambda: look.page.evaluate(theme) != was, "the other theme")


def test_the_map_is_zoomed_and_the_address_says_so(done: Shown, chromium: Browser) -> None:
    with looking(chromium, done.root) as look:
        look.go("/transfer/app:odd", done.token)
        canvas = look.page.locator(".map-frame canvas")
        canvas.focus()
        look.page.keyboard.press("+")
        look.becomes("zoom=")
        look.page.get_by_role("button", name="whole fleet").click()
        until(lambda: "zoom=" not in look.view, "the whole fleet")
        box = canvas.bounding_box()
        assert box is not None
        look.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10)
        until(lambda: "here" in look.text(".tip"), "what is under the pointer")


def test_the_token_leaves_the_address_and_without_one_nothing_is_shown(
    done: Shown, chromium: Browser
) -> None:
    with looking(chromium, done.root) as look:
        look.go("/members")
        field = look.page.get_by_role("textbox", name="Token")
        field.fill("r." + "0" * 64)
        look.page.get_by_role("button", name="Look").click()
        until(lambda: field.is_visible() and not field.input_value(), "to be asked again")
        assert [text for text in look.complaints if "401" in text] == look.complaints
        look.complaints.clear()
        field.fill(f"{done.root}#token={done.token}")
        look.page.get_by_role("button", name="Look").click()
        look.has("Hash table")
    with looking(chromium, done.root) as look:
        look.go("/members", done.token)
        look.has("Hash table")
        assert look.view == "/members"
        assert done.token not in look.page.evaluate("location.href")


def test_a_node_shows_what_it_knows_itself(done: Shown, chromium: Browser) -> None:
    node = done.fleet.machines["two"]
    with looking(chromium, f"http://127.0.0.1:{node.port}/") as look:
        look.go("/members", done.token)
        look.has(f"127.0.0.1:{node.port} sees them")
        until(lambda: look.page.locator("tbody tr").count() >= 5, "all members")
        look.go("/transfer/app:odd")
        look.has("every machine has it")
        assert look.filled() > 0.9


def test_nothing_is_wider_than_a_phone(done: Shown, chromium: Browser) -> None:
    room = "document.documentElement.clientWidth - document.documentElement.scrollWidth"
    with looking(chromium, done.root, size=PHONE) as look:
        look.go("/", done.token)
        for view in VIEWS:
            look.go(view)
            name = view.strip("/").partition("/")[0] or "transfers"
            heading = {"transfer": "app:odd", "artifact": ODD_NAME}.get(name, name.capitalize())
            until(lambda heading=heading: look.text("h1") == heading, heading)
            assert look.page.evaluate(room) >= 0
            look.picture(f"{name}-phone")


def test_a_lost_connection_is_told_and_found_again(tmp_path: Path, chromium: Browser) -> None:
    """A process of its own: it dies."""
    with Fleet(tmp_path) as fleet:
        shown = Shown(fleet)
        port = fleet.at.rpartition(":")[2]
        with looking(chromium, shown.root) as look:
            look.go("/", shown.token)
            look.page.get_by_text("live", exact=True).wait_for()
            fleet.serve.kill()
            look.has("connection lost")
            look.picture("connection-lost", whole=False)
            fleet.start("serve", "--listen", f"127.0.0.1:{port}").event("listening")
            look.page.get_by_text("live", exact=True).wait_for()
            assert all("ERR_" in text for text in look.complaints), look.complaints
            look.complaints.clear()
