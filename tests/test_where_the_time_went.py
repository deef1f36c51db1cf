"""Reports of real fleets: made at a tracker, shown, simulated again; and without a tracker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.processes import until
from tests.machines import Api, Fleet
from tests.members import Members, make_file

SIZE_BYTES = 8_000_000
RATE = "4M"
RATE_BYTES_PER_S = 4 << 20
NAMES = ("one", "two", "three")

OFF_MAX = 0.03


def report_at(api: Api, artifact: str) -> dict[str, Any]:
    """A report, once there is one that is no longer under way."""

    def look() -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = api.json(f"swarms/{artifact}/report")
        except OSError:
            return None
        return found if found["partial"] != "it is still under way" else None

    found = until(look, "a report of the transfer")
    assert isinstance(found, dict)
    return found


def adds_up(report: dict[str, Any]) -> bool:
    total = sum(of["seconds"] for of in report["causes"])
    lost = report["lost_seconds"]
    return bool(total == pytest.approx(lost, rel=OFF_MAX)) and lost > 0


def test_a_transfer_is_recorded_shown_and_simulated_again(tmp_path: Path) -> None:
    file = make_file(tmp_path / "file", SIZE_BYTES)
    with Fleet(tmp_path, "--rate", RATE) as fleet:
        for name in NAMES:
            fleet.node(name, "--rate", RATE)
        fleet.knows(*NAMES)
        manifest = fleet.push(file, "app:1")
        for name in NAMES:
            fleet.machines[name].done(manifest.id, within_s=30.0)
        report = report_at(fleet.api, manifest.id)
        assert report["partial"] == "" and adds_up(report)
        assert (report["nodes"], report["measured"], report["link_from"]) == (3, 3, "rate")
        assert report["line_seconds"] == pytest.approx(SIZE_BYTES / RATE_BYTES_PER_S)
        assert 1.0 <= report["origin"]["sent_ratio"] < 3.0
        shown = fleet.result("show", "app:1", "--report", "--recording", "recorded.json")
        assert {**shown, "type": None} == {**report, "type": None}
        text = fleet.run("show", "app:1", "--report").out
        assert "through its link of 4.00 MiB/s" in text and "lost " in text

        for like in ("recorded.json", "app:1"):
            simulated = fleet.result("sim", "--like", like)
            assert simulated["scenario"] == "like" and simulated["nodes"] == 3
            assert simulated["recorded"]["seconds_last"] == report["seconds_last"]
            assert adds_up(simulated["report"])
            line = simulated["report"]["line_seconds"]
            assert line == pytest.approx(report["line_seconds"], rel=0.01)
        assert fleet.machines["one"].api.metric("strew_upload_busy_ratio") <= 1.0
        kept = list((tmp_path / "home/.local/share/strew/serve/recordings").iterdir())
        assert len(kept) == 2 and json.loads(kept[0].read_bytes())


def test_without_a_tracker_a_node_asks_the_members(tmp_path: Path) -> None:
    file = make_file(tmp_path / "file", SIZE_BYTES)
    with Members(tmp_path) as fleet:
        first = fleet.member("first", "--rate", RATE)
        for name in NAMES[:2]:
            fleet.member(name, "--rate", RATE, by=[first.at], follow="app:*")
        fleet.all_know()
        artifact = fleet.publish(file, "app:1", first)
        for name in NAMES[:2]:
            fleet.machines[name].done(artifact, within_s=30.0)
        for process in (first, fleet.machines["two"]):
            report = until(lambda p=process: _of_two(p.api, artifact), "two machines in a report")
            assert adds_up(report) and "members were asked" in report["partial"]
        done = fleet.call("show", "app:1", "--report", "--at", first.at)
        assert done.final["measured"] == 2


def _of_two(api: Api, artifact: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = api.json(f"swarms/{artifact}/report")
    except OSError:
        return None
    return found if found["measured"] == 2 else None
