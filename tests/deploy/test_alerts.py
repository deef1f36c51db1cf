"""Each alert that comes with strew, at a real Prometheus that scrapes a real fleet in which there
is cause for it; and each against series that a person wrote."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from strew.content.reference import parse_address
from tests.cli.processes import until
from tests.deploy.scraping import DEPLOY, EVERY_MS, Prometheus
from tests.faults.disks import SmallDisk, fill
from tests.faults.liars import Liars, Pusher
from tests.faults.races import until_known
from tests.machines import Fleet, Machine
from tests.members import make_file

pytestmark = pytest.mark.timeout(120)

RULES = DEPLOY / "prometheus" / "alerts.yml"

SIZE_BYTES = 6_000_000
RATE_SLOW = "200K"
"""At which a liar has half a minute to be met."""

SHARERS = ("n0", "n1", "n2", "n3")
"""Machines that are told to fetch from the origin alone: it sends all of it four times."""

FREEZES = 2
"""So often a machine is frozen, for six scrapes: within five minutes of the rules."""

FIRES_WITHIN_S = 30.0

INSTANCES = {
    "StrewProcessDown": "n1",
    "StrewTransferStalled": "stuck",
    "StrewTransferPaused": "small",
    "StrewDiskLow": "small",
    "StrewVerifyFailures": "victim",
    "StrewPeersBanned": "victim",
    "StrewOriginSendsTooMuch": "",
    "StrewMembersSuspect": "n2",
    "StrewEventLoopLate": "n3",
}
"""Where each is to fire; the origin's is of the whole fleet."""


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
        fleet.node("victim", "--rate-down", RATE_SLOW)
        for name in ("stuck", *SHARERS):
            fleet.node(name)
        fleet.knows(*fleet.machines)
        manifest = fleet.push(make_file(folder / "source/file", SIZE_BYTES), "other:1")
        with Prometheus(folder / "prometheus", fleet.at, fleet.key.viewer_token()) as prometheus:
            everybody = len(fleet.machines) + 1
            until(lambda: len(prometheus.query("up == 1")) == everybody, "all to be scraped")
            harm(fleet, disk, manifest.id)
            freeze(fleet.machines["n3"], prometheus)
            liar = Pusher(fleet.key, parse_address(fleet.at), manifest, 1)
            with Liars([liar]):
                until_known(fleet, [liar])
                yield Harmed(fleet, prometheus)


def harm(fleet: Fleet, disk: SmallDisk, artifact: str) -> None:
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
    machines["small"].api.post("transfers", {"artifact": artifact})
    machines["victim"].api.post("transfers", {"artifact": artifact})
    machines["n1"].kill()
    machines["n0"].signal(signal.SIGSTOP)


def freeze(machine: Machine, prometheus: Prometheus) -> None:
    """Stop a process for a moment, several times: until it is missed, and until it is back."""
    up = f'up{{instance="127.0.0.1:{machine.port}"}}'
    missed = f"max_over_time({up}[{6 * EVERY_MS}ms]) == 0"
    for _ in range(FREEZES):
        machine.signal(signal.SIGSTOP)
        until(lambda: prometheus.query(missed), "a frozen machine to be missed")
        machine.signal(signal.SIGCONT)
        until(lambda: prometheus.query(f"{up} == 1"), "the machine to be back")


def test_every_alert_is_tried() -> None:
    assert set(re.findall(r"- alert: (\w+)", RULES.read_text())) == set(INSTANCES)


@pytest.mark.parametrize("alert", [*INSTANCES])
def test_an_alert_waits_and_then_fires_where_there_is_cause(harmed: Harmed, alert: str) -> None:
    until(lambda: "firing" in harmed.states(alert), f"{alert} to fire", FIRES_WITHIN_S)
    assert harmed.states(alert)[:2] == ["pending", "firing"]


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
