"""What the logs of real processes say of transfers: one line for each, whatever its number of
chunks and however it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from strew.content.digest import artifact_id_of
from tests.cli.processes import Running, until
from tests.machines import Fleet
from tests.members import make_file

SIZE_BYTES = 20_000_000

NOWHERE = artifact_id_of(b"nobody has this")

LINES_MAX = 3
"""That it has begun, that it has ended, and one to spare."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet"), "--log-format", "json") as fleet:
        for name in ("one", "two"):
            fleet.node(name, "--log-format", "json", "--log-level", "info")
        fleet.knows("one", "two")
        fleet.machines["one"].api.post("transfers", {"artifact": NOWHERE})  # takes its time
        yield fleet


def lines(running: Running) -> list[dict[str, Any]]:
    """Its log, of which every line must be one JSON object."""
    return [json.loads(line) for line in running.errors.splitlines()]


def ends(running: Running, artifact: str) -> list[dict[str, Any]]:
    return [
        line
        for line in lines(running)
        if line["event"] == "transfer" and line["artifact"] == artifact
    ]


def test_a_transfer_is_one_line_with_where_its_bytes_came_from(fleet: Fleet) -> None:
    before = {name: len(lines(machine.running)) for name, machine in fleet.machines.items()}
    manifest = fleet.push(make_file(fleet.folder / "source/file", SIZE_BYTES), "app:1")
    assert manifest.chunk_count > 10 * LINES_MAX
    for name, machine in fleet.machines.items():
        machine.done(manifest.id, within_s=20.0)
        until(lambda of=machine: ends(of.running, manifest.id), f"{name} to log its end")
        of_others = len(ends(machine.running, NOWHERE))
        assert len(lines(machine.running)) - before[name] - of_others <= LINES_MAX
        [end] = ends(machine.running, manifest.id)
        assert (end["result"], end["reference"], end["level"]) == ("done", "app:1", "info")
        assert end["timestamp"].endswith("Z") and end["seconds"] > 0
        came = [end[f"{whence}_bytes"] for whence in ("origin", "near", "far")]
        assert sum(came) == end["size_bytes"] == SIZE_BYTES and end["local_bytes"] == 0
        assert end["from_origin_ratio"] == pytest.approx(came[0] / SIZE_BYTES, abs=0.05)
    until(lambda: ends(fleet.serve, manifest.id), "serve to log what was pushed")
    assert len(ends(fleet.serve, manifest.id)) == 1


def test_what_fails_is_one_line_too_and_says_why(fleet: Fleet) -> None:
    machine = fleet.machines["one"]
    [end] = until(lambda: ends(machine.running, NOWHERE), "the end of what nobody has")
    assert (end["result"], end["level"], end["code"]) == ("failed", "warning", "not-found")
    assert NOWHERE in end["reason"] and end["size_bytes"] == 0
