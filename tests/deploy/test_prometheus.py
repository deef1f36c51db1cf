"""Each alert and each panel that comes with strew, at a real Prometheus that scrapes a real fleet
in which there is cause for them; and each alert against series that a person wrote."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from strew.content.reference import parse_address
from tests.agent.test_metrics import TABLE
from tests.cli.processes import until
from tests.deploy.scraping import DEPLOY, Prometheus
from tests.faults.disks import SmallDisk, fill
from tests.faults.liars import Garbled, Liars
from tests.machines import Fleet
from tests.members import make_file

pytestmark = pytest.mark.timeout(120)

DASHBOARD = DEPLOY / "grafana" / "strew.json"
RULES = DEPLOY / "prometheus" / "alerts.yml"

SIZE_BYTES = 6_000_000

SHARERS = ("n0", "n1", "n2", "n3")
"""Machines that are told to fetch from the origin alone: it sends all of it four times."""

FREEZES_MAX = 8
FREEZE_SHORT_S = 1.5
"""Six scrapes: twice within five minutes of the rules makes a loop late on the whole."""

FREEZE_LONG_S = 10.0
"""Until others suspect a machine, and longer than they do before they call it dead."""

FIRES_WITHIN_S = 30.0

GRID_COLUMNS = 24
"""How wide Grafana's pages are."""

_SAMPLES = {
    "counter": "_total",
    "gauge": "",
    "summary": "_(sum|count)",
    "histogram": "_(bucket|sum|count)",
}
"""What the samples of a family are called beside its name."""

INSTANCES = {
    "StrewProcessDown": "n1",
    "StrewTransferStalled": "stuck",
    "StrewTransferPaused": "small",
    "StrewDiskLow": "small",
    "StrewVerifyFailures": "n2",
    "StrewPeersBanned": "n3",
    "StrewOriginSendsTooMuch": "",
    "StrewMembersSuspect": "n2",
    "StrewEventLoopLate": "n3",
}
"""Where each is to fire; the origin's is of the whole fleet."""


class Caller(Garbled):
    """A liar that calls one machine, again and again, and says what cannot be read."""

    port = 0

    async def live(self) -> None:
        await self.peer.listen()
        await self._haunt("", "127.0.0.1", self.port)


class Harmed(NamedTuple):
    """A fleet with something wrong on most machines, and who watches it."""

    fleet: Fleet
    prometheus: Prometheus

    def states(self, alert: str) -> list[str]:
        name = INSTANCES[alert]
        instance = f"127.0.0.1:{self.fleet.machines[name].port}" if name else ""
        return self.prometheus.states.get((alert, instance), [])


@pytest.fixture(scope="module")
def harmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harmed]:
    folder = tmp_path_factory.mktemp("fleet")
    with Fleet(folder) as fleet:
        disk = SmallDisk(folder / "small", SIZE_BYTES // 2)
        fleet.node("small", wrapped=disk.wrapped)
        for name in ("reader", "stuck", *SHARERS):
            fleet.node(name)
        fleet.knows(*fleet.machines)
        manifest = fleet.push(make_file(folder / "source/file", SIZE_BYTES), "other:1")
        with Prometheus(folder / "prometheus", fleet.at, fleet.key.viewer_token()) as prometheus:
            everybody = len(fleet.machines) + 1
            until(lambda: len(prometheus.query("up == 1")) == everybody, "all to be scraped")
            harm(fleet, disk, manifest.id, prometheus)
            caller = Caller(fleet.key, parse_address(fleet.at), manifest, 1)
            caller.port = fleet.machines["n3"].port
            with Liars([caller]):
                yield Harmed(fleet, prometheus)


def harm(fleet: Fleet, disk: SmallDisk, artifact: str, prometheus: Prometheus) -> None:
    """Cause what the alerts are about."""
    machines = fleet.machines
    origin = ["127.0.0.1", parse_address(fleet.at).port]
    nobody = ["127.0.0.1", 9]
    fill(disk.inside(machines["small"]) / "filling")
    only = {"artifact": artifact, "only_sources": True}
    machines["stuck"].api.post("transfers", only | {"sources": [nobody]})
    for name in SHARERS:
        machines[name].api.post("transfers", only | {"sources": [origin]})
    for name in SHARERS:
        machines[name].done(artifact, within_s=20.0)
    # What one of them received counts although it is ended below: it has to be scraped before.
    came = 'strew_chunk_bytes_received_total{source="origin"} >= ' + str(SIZE_BYTES)
    until(lambda: len(prometheus.query(came)) >= len(SHARERS), "what came to be scraped")
    machines["small"].api.post("transfers", {"artifact": artifact})
    (machines["n2"].into / "file").write_bytes(bytes(SIZE_BYTES))
    reader = only | {"sources": [["127.0.0.1", machines["n2"].port]]}
    machines["reader"].api.post("transfers", reader)
    machines["n1"].kill()


def freeze(harmed: Harmed, alert: str, name: str, for_s: float) -> None:
    """Stop a process until an alert fires, at most for so long; go on, and stop it again. A machine
    that does other things too may miss the moments that matter."""
    machine = harmed.fleet.machines[name]
    up = f'up{{instance="127.0.0.1:{machine.port}"}} == 1'

    def fires() -> bool:
        return "firing" in harmed.states(alert)

    for _ in range(FREEZES_MAX):
        machine.signal(signal.SIGSTOP)
        with contextlib.suppress(AssertionError):
            until(fires, f"{alert} to fire", for_s)
        machine.signal(signal.SIGCONT)
        until(lambda: harmed.prometheus.query(up), f"{name} to be back")
        if fires():
            return


def test_every_alert_is_tried() -> None:
    assert set(re.findall(r"- alert: (\w+)", RULES.read_text())) == set(INSTANCES)


def test_alerts_wait_and_then_fire_where_there_is_cause_and_the_dashboard_shows_it(
    harmed: Harmed,
) -> None:
    """One test, as the fleet costs more than all of it."""
    freeze(harmed, "StrewEventLoopLate", "n3", FREEZE_SHORT_S)
    freeze(harmed, "StrewMembersSuspect", "n0", FREEZE_LONG_S)
    for alert in INSTANCES:
        until(lambda of=alert: "firing" in harmed.states(of), f"{alert} to fire", FIRES_WITHIN_S)
        assert harmed.states(alert)[:2] == ["pending", "firing"], alert
    paused = harmed.fleet.machines["small"].running.errors
    assert paused.count("paused") == 1, "it looks at its disk again, and says so no more"
    silent = [
        (panel, expression)
        for panel, expression in expressions()
        if not harmed.prometheus.query(filled_in(expression))
    ]
    assert not silent


def expressions() -> list[tuple[str, str]]:
    """Every expression of the dashboard, with its panel's title."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [(of["title"], target["expr"]) for of in panels for target in of.get("targets", ())]


def filled_in(expression: str) -> str:
    """As Grafana asks where everything is chosen."""
    chosen = {"$job": ".*", "$zone": ".*", "$__rate_interval": "1m"}
    for variable, value in chosen.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression
    return expression


def test_the_dashboard_has_no_two_panels_in_one_place_and_each_says_what_it_shows() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken and max(x for x, _ in cells) < GRID_COLUMNS, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or panel["description"], panel["title"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_dashboard_asks_for_every_metric_and_for_none_that_is_not() -> None:
    asked = {
        name for _, expression in expressions() for name in re.findall(r"\bstrew_\w+", expression)
    }
    known = {name: re.compile(f"{name}{_SAMPLES[family.kind]}") for name, family in TABLE.items()}
    strange = {name for name in asked if not any(of.fullmatch(name) for of in known.values())}
    assert not strange
    unseen = {name for name, of in known.items() if not any(map(of.fullmatch, asked))}
    assert not unseen


@pytest.mark.skipif(shutil.which("promtool") is None, reason="prometheus is not installed")
@pytest.mark.parametrize(
    "words",
    [
        ("check", "config", "--syntax-only", str(DEPLOY / "prometheus/prometheus.yml")),
        ("check", "rules", str(RULES)),
        ("test", "rules", str(Path(__file__).parent / "alerts.test.yml")),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_prometheus_own_tool_agrees(words: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_says_how_bad_it_is_and_where_the_remedy_stands() -> None:
    page = (DEPLOY.parent / "docs/OPERATING.md").read_text()
    anchors = {title.lower() for title in re.findall(r"^#+ (Strew\w+)$", page, re.MULTILINE)}
    assert anchors == {alert.lower() for alert in INSTANCES}
    for part in RULES.read_text().split("- alert: ")[1:]:
        name = part.split()[0]
        assert re.search(r"severity: (critical|warning)\n", part), name
        assert "summary:" in part, name
        assert f"remedy: docs/OPERATING.md#{name.lower()}\n" in part, name
