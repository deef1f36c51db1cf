"""What a watcher makes of a board and its changes."""

from typing import Any

import pytest

from strew.errors import ProtocolError
from strew.telemetry.view import BoardChange
from tests.cli.boardviews import ARTIFACT, progress, row, view
from tests.cli.boardviews import watched as watched_of


def change(**fields: Any) -> BoardChange:
    return BoardChange(artifact=ARTIFACT, now_s=24.0, progress=progress(done=2), **fields)


def test_a_change_is_taken_in_once_and_in_order() -> None:
    watched = watched_of([row(1), row(2)])
    told = change(
        joined=[row(3)],
        machines=[(2, {"state": "seeding", "have_chunks": 1000}), (0, {"cause": "slow-up"})],
        cells=[(1, 4, "99")],
        times_s=[24.0],
        rates=(3.0, 5e6, 1e6, [5e6]),
        zones=["", "rack1"],
    )
    assert watched.apply(101, told)
    assert not watched.apply(101, told)  # told again after a break: no second joining
    assert [machine.host for machine in watched.machines] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert (watched.machines[2].state, watched.machines[2].have_chunks) == ("seeding", 1000)
    assert watched.machines[0].cause == "slow-up"
    assert watched.machines[1].cells == "99;;99(("
    assert (watched.progress.done, watched.now_s, watched.times_s) == (2, 24.0, [21.0, 24.0])
    assert watched.rates.fleet == [1e6, 2e6, 5e6]
    assert watched.zones == ["", "rack1"]


def test_what_is_older_than_the_board_or_of_another_one_is_passed_over() -> None:
    watched = watched_of([row(1)])
    assert not watched.apply(100, change(joined=[row(2)]))
    other = BoardChange(artifact=ARTIFACT.replace("7", "8"), now_s=1.0, progress=progress())  # type: ignore[arg-type]
    assert not watched.apply(200, other)
    assert len(watched.machines) == 1 and watched.event_id == 100


def test_a_field_of_a_newer_tracker_is_no_reason_to_stop() -> None:
    watched = watched_of([row(1)])
    assert watched.apply(101, change(machines=[(0, {"mood": "fine", "have_chunks": 7})]))
    assert watched.machines[0].have_chunks == 7


@pytest.mark.parametrize(
    "told",
    [
        {"machines": [(1, {"have_chunks": 1})]},
        {"machines": [(-1, {"have_chunks": 1})]},
        {"machines": [(0, {"have_chunks": "many"})]},
        {"machines": [(0, {"cause": "laziness"})]},
        {"cells": [(0, 7, "99")]},
        {"cells": [(0, -1, "9")]},
        {"cells": [(5, 0, "9")]},
    ],
)
def test_what_does_not_fit_is_a_bad_message(told: dict[str, Any]) -> None:
    watched = watched_of([row(1)])
    with pytest.raises(ProtocolError):
        watched.apply(101, change(**told))


def test_zones_are_by_number_and_may_be_unknown() -> None:
    watched = watched_of([row(1), row(2, zone_index=5)], zones=["rack0"])
    assert [watched.zone_of(machine) for machine in watched.machines] == ["rack0", ""]


def test_a_board_of_no_machine_is_one() -> None:
    assert view([]).machines == []
    assert watched_of([]).apply(101, change())
