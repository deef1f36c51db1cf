"""What a node that is no tracker shows of transfers, in a fleet without any."""

import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.cli.processes import until
from tests.members import Members, Process, make_file

SIZE_BYTES = 6_000_000
RATE = "2M"


def board(at: Process, artifact: str) -> dict[str, Any]:
    return dict(at.api.json(f"swarms/{artifact}/board"))


def test_any_member_shows_the_transfer_it_takes_part_in(tmp_path: Path) -> None:
    with Members(tmp_path) as fleet:
        first = fleet.member("first", "--rate-up", RATE, follow="app:*")
        second = fleet.member("second", "--rate", RATE, by=[first.at], follow="app:*")
        fleet.all_know()
        file = make_file(tmp_path / "published/file", SIZE_BYTES)
        artifact = fleet.publish(file, "app:1", first)

        kinds = f"events?kinds=board,swarm,publication&artifact={artifact}"
        request = urllib.request.Request(
            f"http://{second.at}/api/v1/{kinds}",
            headers={"Authorization": f"Bearer {fleet.key.viewer_token()}"},
        )
        with urllib.request.urlopen(request, timeout=20) as stream:

            def partly() -> dict[str, Any] | None:
                shown = board(second, artifact)
                own = [row for row in shown["machines"] if row[2] == second.port]
                return shown if own and 0 < own[0][7] < shown["chunk_count"] else None

            shown = until(partly, "the second to show that it has some")
            rows = {row[2]: row for row in shown["machines"]}
            assert rows[first.port][5] and set(rows[first.port][-1]) == {"O"}
            assert set(rows[second.port][-1]) - {"("} and shown["progress"]["total"] == 1
            second.has(file, artifact, within_s=30.0)

            kinds_told: set[str] = set()
            for line in stream:
                if line.startswith(b"event: "):
                    kinds_told.add(line[7:].decode().strip())
                if line.startswith(b"data: ") and json.loads(line[6:]).get("progress", {}).get(
                    "over"
                ):
                    break
            assert {"open", "board"} <= kinds_told

        assert board(second, artifact)["progress"]["done"] == 1
        (told,) = second.api.json("transfers")
        assert (told["artifact"], told["state"]) == (artifact, "done")
        page = second.api.json(f"nodes/{rows[second.port][0]}")
        assert page["swarms"][0]["received_bytes"] == SIZE_BYTES
        assert any("fetch begins" in of["text"] for of in page["events"])


def test_whoever_looks_for_a_tracker_is_told_that_a_node_is_none(tmp_path: Path) -> None:
    with Members(tmp_path) as fleet:
        only = fleet.member("only")
        request = urllib.request.Request(
            f"http://{only.at}/api/v1/events?kinds=publication",
            headers={"Authorization": f"Bearer {fleet.key.node_token()}"},
        )
        try:
            urllib.request.urlopen(request, timeout=20)
        except urllib.error.HTTPError as error:
            assert error.code == 404 and b"no tracker" in error.read()
        else:
            raise AssertionError("it was taken for a tracker")
