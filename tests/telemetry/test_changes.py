"""What onlookers are told: frames which, applied one after another, give the whole board."""

import json
import random
from typing import Any

from strew.telemetry.board import Board
from strew.telemetry.changes import BURST_BYTES, BYTES_PER_S
from strew.telemetry.view import MachineRow
from tests.telemetry.boards import PUBLISHED_S, board, machine, origin, peer, telemetry

NOW_S = PUBLISHED_S + 1.0
FIELDS = MachineRow.__struct_fields__


def frame(told: Board, now: float, flows: list[Any] | None = None) -> dict[str, Any] | None:
    made = told.changes.frame(told.progress(now), flows, now)
    return None if made is None else json.loads(made)


class Onlooker:
    """Applies frames to a board as a browser does."""

    def __init__(self, told: Board, now: float) -> None:
        view = json.loads(_encoded(told, now))
        self.machines: list[list[Any]] = view["machines"]
        self.times_s: list[float] = view["times_s"]

    def apply(self, change: dict[str, Any]) -> None:
        self.machines += change.get("joined", [])
        for row, fields in change.get("machines", []):
            for name, value in fields.items():
                self.machines[row][FIELDS.index(name)] = value
        for row, start, text in change.get("cells", []):
            cells = self.machines[row][-1]
            self.machines[row][-1] = cells[:start] + text + cells[start + len(text) :]
        self.times_s += change.get("times_s", [])


def _encoded(told: Board, now: float) -> bytes:
    import msgspec

    return msgspec.json.encode(told.view(now, 1, {}, None))


def test_a_frame_tells_what_changed_and_nothing_else() -> None:
    told = board()
    told.hear(origin(), NOW_S)
    told.hear(machine(1), NOW_S)
    told.changes.settle(NOW_S)
    told.tell(peer(1), telemetry({0, 1}, received_bytes_per_s=123456.0), NOW_S)
    change = frame(told, NOW_S)
    assert change is not None
    assert change["machines"] == [[1, {"have_chunks": 2, "received_bytes_per_s": 123000.0}]]
    assert change["cells"] == [[1, 0, "EE"]]
    assert "joined" not in change and "times_s" not in change and "flows" not in change
    assert frame(told, NOW_S) is None


def test_frames_one_after_another_give_the_whole_board() -> None:
    dice = random.Random(3)
    told = board(chunks=40)
    told.hear(origin(), NOW_S)
    told.changes.settle(NOW_S)
    looking = Onlooker(told, NOW_S)
    have: dict[int, set[int]] = {}
    now = NOW_S
    for _ in range(300):
        now += 0.25
        number = dice.randrange(1, 30)
        if number not in have:
            have[number] = set()
            told.hear(machine(number, zone=dice.choice("ab")), now)
        have[number] |= {dice.randrange(40) for _ in range(6)}
        told.tell(peer(number), telemetry(have[number], chunks=40), now)
        if len(have[number]) == 40:
            told.hear(machine(number, "seeding", done_unix_s=now), now)
        if dice.random() < 0.05:
            told.left(peer(number), now)
        told.judge(now, 0.5, {})
        change = frame(told, now)
        if change is not None:
            looking.apply(change)
    for later in range(1, 20):  # nothing happens any more: what waited is told
        change = frame(told, now + later)
        if change is not None:
            looking.apply(change)
    told.changes.settle(now)
    whole = Onlooker(told, now)
    silent = FIELDS.index("silent_s")
    for row in (*looking.machines, *whole.machines):
        row[silent] = 0.0  # told with the rest of a row, not for its own sake
    assert looking.machines == whole.machines
    assert sorted(looking.times_s) == whole.times_s


def test_a_board_between_two_frames_fits_the_frame_that_comes_next() -> None:
    """Whoever looks while others do gets what was told, and the rest with the next frame."""
    told = board()
    told.hear(machine(1), NOW_S)
    told.changes.settle(NOW_S)
    told.hear(machine(2, "seeding", done_unix_s=NOW_S), NOW_S)
    looking = Onlooker(told, NOW_S)
    assert len(looking.machines) == 1 and looking.times_s == []
    change = frame(told, NOW_S)
    assert change is not None
    looking.apply(change)
    assert len(looking.machines) == 2 and looking.times_s == [1.0]


def test_state_and_cause_go_before_what_only_moved() -> None:
    told = board()
    for number in range(400):
        told.hear(machine(number), NOW_S)
    told.changes.settle(NOW_S)
    frame(told, NOW_S)
    for number in range(400):
        told.tell(peer(number), telemetry({1, 2, 3}, sent_bytes=10**9), NOW_S)
    told.hear(machine(399, "paused", reason="no space"), NOW_S)
    told.judge(NOW_S, 0.5, {})
    told.changes._room = 3000.0
    change = frame(told, NOW_S)
    assert change is not None
    first, fields = change["machines"][0]
    assert first == 399 and fields["state"] == "paused" and fields["cause"] == "paused"
    assert len(change["machines"]) < 50


def test_a_large_fleet_costs_an_onlooker_less_than_a_megabyte_a_minute() -> None:
    told = board(chunks=256)
    for number in range(1000):
        told.hear(machine(number), NOW_S)
    told.changes.settle(NOW_S)
    dice = random.Random(5)
    size, largest, now = 0, 0, NOW_S
    for turn in range(240):
        now += 0.25
        for number in dice.sample(range(1000), 50):
            have = set(dice.sample(range(256), 128))
            told.tell(peer(number), telemetry(have, chunks=256, sent_bytes=turn * 999), now)
        made = told.changes.frame(told.progress(now), None, now)
        size += len(made or b"")
        largest = max(largest, len(made or b""))
    assert size <= 60 * BYTES_PER_S + BURST_BYTES < 1_000_000
    assert size > 30 * BYTES_PER_S, "and the budget is used"
    assert largest <= 60_000, "readers take events of 64 KiB"


def test_flows_are_told_as_a_whole_and_not_too_often() -> None:
    told = board()
    told.hear(machine(1), NOW_S)
    told.hear(machine(2), NOW_S)
    told.changes.settle(NOW_S)
    assert told.changes.flows_due(NOW_S)
    change = frame(told, NOW_S, [(0, 1, 5)])
    assert change is not None and change["flows"] == [[0, 1, 5]]
    assert not told.changes.flows_due(NOW_S + 1.0)
    assert told.changes.flows_due(NOW_S + 2.0)
    change = frame(told, NOW_S + 2.0, [])
    assert change is not None and change["flows"] == []


def test_that_machines_are_done_is_told_before_the_cells_of_any() -> None:
    chunks, machines = 2000, 400
    told = board(chunks=chunks)
    told.hear(origin(), NOW_S)
    for number in range(1, machines + 1):
        told.hear(machine(number), NOW_S)
    told.changes.settle(NOW_S)
    looking = Onlooker(told, NOW_S)
    dice = random.Random(5)
    for number in range(1, machines + 1):
        sources = "".join(dice.choice("123") for _ in range(256))
        told.tell(
            peer(number), telemetry(set(range(chunks)), chunks=chunks, sources=sources), NOW_S
        )
        told.hear(machine(number, "seeding", done_unix_s=NOW_S), NOW_S)
    frames = 0
    state, cells = FIELDS.index("state"), FIELDS.index("cells")

    def told_of() -> int:
        return sum(row[state] == "seeding" for row in looking.machines) - 1  # the origin

    for quarter in range(1, 100):
        if told_of() == machines:
            break
        change = frame(told, NOW_S + 0.25 * quarter)
        if change is not None:
            frames += 1
            looking.apply(change)
    assert frames <= 2, "400 states fit one frame or two"
    whole = sum("(" not in row[cells] for row in looking.machines)
    assert whole < machines / 2, "their cells do not: they come after"
