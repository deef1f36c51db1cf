"""The audit log: what stands in it, and that it stays small and private."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from strew.tracker.audit import AUDIT_FILE, REFUSALS_PER_MINUTE, TEXT_CHARS_MAX, AuditLog

NOW_S = 1_795_882_914.354


def lines(folder: Path, name: str = AUDIT_FILE) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_a_line_says_when_what_and_who(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, lambda: NOW_S)
    log.write("publish", "10.0.0.2", role="publish", token="fleet", reference="app:1", scope="")
    log.close()
    assert lines(tmp_path) == [
        {
            "at": "2026-11-28T16:21:54.354Z",
            "event": "publish",
            "source": "10.0.0.2",
            "role": "publish",
            "token": "fleet",
            "reference": "app:1",
        }
    ]
    assert (tmp_path / AUDIT_FILE).stat().st_mode & 0o777 == 0o600


def test_a_text_from_outside_is_one_line_of_bounded_length(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.refused("10.0.0.2", reason='a\nb"\x00' + "x" * 10_000)
    log.close()
    [line] = lines(tmp_path)
    assert len(line["reason"]) == TEXT_CHARS_MAX


def test_the_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    for number in range(3):
        log = AuditLog(tmp_path)
        log.write("member", f"10.0.0.{number}")
        log.close()
    assert [line["source"] for line in lines(tmp_path)] == ["10.0.0.0", "10.0.0.1", "10.0.0.2"]


def test_two_files_bound_its_size(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, bytes_max=2000)
    for number in range(200):
        log.write("member", "10.0.0.1", node=f"{number:032x}")
    log.close()
    sizes = {entry.name: entry.stat().st_size for entry in tmp_path.iterdir()}
    assert set(sizes) == {AUDIT_FILE, f"{AUDIT_FILE}.1"}
    assert all(size <= 2000 for size in sizes.values())
    kept = lines(tmp_path, f"{AUDIT_FILE}.1") + lines(tmp_path)
    numbers = [int(line["node"], 16) for line in kept]
    assert numbers == list(range(200 - len(kept), 200)), "the newest, none left out"


def test_a_flood_of_refusals_does_not_push_the_rest_out(tmp_path: Path) -> None:
    now = [0.0]
    log = AuditLog(tmp_path, lambda: now[0])
    for _ in range(10 * REFUSALS_PER_MINUTE):
        log.refused("10.0.0.66", status=401)
    log.write("publish", "10.0.0.2")
    now[0] = 61.0
    log.refused("10.0.0.66", status=401)
    log.close()
    written = lines(tmp_path)
    assert len(written) == REFUSALS_PER_MINUTE + 2
    assert written[-1]["unwritten"] == 9 * REFUSALS_PER_MINUTE
    assert "unwritten" not in written[0]


def test_a_disk_that_takes_no_line_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / AUDIT_FILE).mkdir()
    log = AuditLog(tmp_path)
    log.write("member", "10.0.0.1")
    (tmp_path / AUDIT_FILE).rmdir()
    log.write("member", "10.0.0.2")
    log.close()
    assert [line["source"] for line in lines(tmp_path)] == ["10.0.0.2"]


def test_a_link_in_its_place_is_not_written_through(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / AUDIT_FILE).symlink_to(target)
    log = AuditLog(tmp_path)
    log.write("member", "10.0.0.1")
    log.close()
    assert target.read_text() == "mine"
