"""Who is taken for dripping, and who only waits, or is slow as everybody is."""

from __future__ import annotations

import pytest

from strew.transfer.progress import (
    DRIPS_RATIO,
    LATE_S,
    PROGRESS_BYTES_MIN,
    Arriving,
    Progress,
)

QUICK = 10 * PROGRESS_BYTES_MIN


class End:
    """The receiving end of a connection on which a chunk is under way."""

    def __init__(self) -> None:
        self.received_bytes = 0
        self.is_under_way = True

    def drips(self) -> None:
        raise AssertionError("a look only names")


def looked_after(*moved_bytes: int, fair: float | None = None, wanted: bool = False) -> list[int]:
    """The places of those that drip, when so much came over each in one period."""
    progress = Progress(fair)
    ends = [End() for _ in moved_bytes]
    for end in ends:
        progress._seen[end] = -1  # as `watch`, which arms a timer
    assert progress.look(0.0) == []
    for end, count in zip(ends, moved_bytes, strict=True):
        end.received_bytes += count
    progress.buffers_wanted = wanted
    found: list[Arriving] = progress.look(0.0)
    return [place for place, end in enumerate(ends) if end in found]


def test_one_that_drips_beside_a_quick_one_is_found() -> None:
    assert looked_after(QUICK, 5) == [1]


def test_one_that_is_slow_and_gets_on_is_not() -> None:
    assert looked_after(QUICK, PROGRESS_BYTES_MIN // DRIPS_RATIO) == []


def test_where_all_are_slow_it_may_be_the_own_link() -> None:
    assert looked_after(5, 5, 5000) == []


def test_where_buffers_run_out_all_that_drip_are_found() -> None:
    assert looked_after(5, 5, PROGRESS_BYTES_MIN, wanted=True) == [0, 1]


def test_a_download_limit_is_nobodys_fault_but_ones_own() -> None:
    fair = 2000.0  # bytes/s each; a period is 5 s
    assert looked_after(6000, 4000, fair=fair, wanted=True) == [1]


@pytest.mark.parametrize("when", ["then", "now"])
def test_who_waits_for_this_node_does_not_drip(when: str) -> None:
    progress, end, quick = Progress(), End(), End()
    progress._seen = {end: -1, quick: -1}
    end.is_under_way = when != "then"
    progress.look(0.0)
    quick.received_bytes = QUICK
    end.is_under_way = when != "now"
    assert progress.look(0.0) == []


def test_a_look_that_comes_late_says_nothing() -> None:
    progress, end, quick = Progress(), End(), End()
    progress._seen = {end: -1, quick: -1}
    progress.look(0.0)
    quick.received_bytes = QUICK
    assert progress.look(2 * LATE_S) == []
