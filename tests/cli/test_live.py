"""How a transfer is shown in text, as pictures of 80 columns."""

import pytest

from strew.cli.live import block, line, stragglers
from strew.cli.painting import Line, columns_of, rendered
from strew.telemetry.watched import Watched
from tests.cli.boardviews import progress, row
from tests.cli.boardviews import watched as watched_of

SLOW = {
    "cause": "slow-up",
    "why": "its uplink carries 3.0 MiB/s, the others' 119 MiB/s",
    "remedy": "strew gives it less to pass on; look at its network card",
    "have_chunks": 400,
}


def fleet() -> Watched:
    """An origin, one that is done, one that goes well, one slow, one that is cut off."""
    return watched_of(
        [
            row(9, is_origin=True, state="seeding", have_chunks=1000),
            row(1, state="seeding", have_chunks=1000, done_s=21.0),
            row(2, zone_index=1, have_chunks=850),
            row(3, zone_index=1, **SLOW),
            row(4, cause="cut-off", why="no answer to a connection", silent_s=61.0),
        ],
        zones=["rack0", "rack1"],
    )


def texts(lines: list[Line]) -> list[str]:
    return [rendered(line, None, colour=False).rstrip() for line in lines]


def test_the_whole_of_it_in_80_columns() -> None:
    assert texts(block(fleet(), "app:2.1", 79, 30)) == [
        "app:2.1  4.00 GiB in 1000 chunks, to 4 machines                          23.0 s",
        "█████████████████████████████████▏···················   62.5 %  ETA 22.0 s",
        "1 done, 3 fetching",
        "fleet 300 MiB/s ▅█   origin 119 MiB/s, 1.02 × file   peers 74.5 %",
        "bound 35.0 s at 119 MiB/s (measured), heading for 36.1 s: 1.03 ×",
        "rarest chunk: 2 copies, as of 73 chunks, the first is 927",
        "",
        "rack0                1 of 2  ████████████████████▎······   75.0 %  200 MiB/s",
        "rack1                0 of 2  ████████████████▉··········   62.5 %  200 MiB/s",
        "",
        "2 lag behind",
        "10.0.0.4:7301  rack0              50.0 %    100 MiB/s  cut off 1:01",
        "  no answer to a connection",
        "10.0.0.3:7301  rack1              40.0 %    100 MiB/s  slow up",
        "  its uplink carries 3.0 MiB/s, the others' 119 MiB/s",
        "  → strew gives it less to pass on; look at its network card",
    ]


@pytest.mark.parametrize("columns", [20, 40, 79, 119, 200])
@pytest.mark.parametrize("lines_max", [4, 8, 12, 24, 60])
def test_a_block_keeps_to_its_place(columns: int, lines_max: int) -> None:
    lines = block(fleet(), "a-very-long-name-of-an-artifact:1.2.3-rc.4", columns, lines_max)
    assert 4 <= len(lines) <= lines_max
    assert all(columns_of(rendered(one, columns, colour=False)) <= columns for one in lines)


def test_those_who_lag_go_before_zones_in_a_low_terminal() -> None:
    shown = texts(block(fleet(), "app:2.1", 79, 12))
    assert "2 lag behind" in shown
    assert not any(text.startswith("rack0 ") for text in shown)
    assert shown[-1].startswith(
        "  its uplink carries 3.0 MiB/s, the others' 119 MiB/s; strew gives"
    )


def test_a_crowd_of_stragglers_is_cut_to_the_worst_and_counted() -> None:
    many = [row(number, **SLOW | {"have_chunks": number}) for number in range(1, 31)]
    shown = texts(block(watched_of(many), "app:2.1", 79, 60))
    assert "30 lag behind, the worst 8 are" in shown
    assert sum("slow up" in text for text in shown) == 8
    assert any(text.startswith("10.0.0.1:7301") for text in shown)


def test_the_end_says_what_it_took() -> None:
    over = progress(over=True, done=4, fetching=0, done_bytes=1, total_bytes=1, ratio_end=1.05)
    shown = texts(block(watched_of([row(1, state="seeding")], progress=over), "app:2.1", 79, 30))
    assert "100.0 %  done" in shown[1]
    assert "bound 35.0 s at 119 MiB/s (measured), it took 36.8 s: 1.05 × the bound" in shown
    assert not any(text.startswith("rarest") for text in shown)


def test_chunks_nobody_has_are_told() -> None:
    of = progress(rarest=None)
    assert not any("rarest" in text for text in texts(block(_with(of), "a:1", 79, 30)))
    gone = progress(rarest=(0, 1, 5))
    gone = progress(rarest=type(progress().rarest)(0, 1, 5))  # type: ignore[misc]
    assert "rarest chunk: no copy, the first is 5" in texts(block(_with(gone), "a:1", 79, 30))


def _with(of: object) -> Watched:
    return watched_of([row(1)], progress=of)


def test_the_gravest_and_the_least_far_come_first() -> None:
    rows = [
        row(1, **SLOW | {"have_chunks": 10}),
        row(2, **SLOW | {"have_chunks": 5}),
        row(3, state="failed", why="disk: I/O error"),
        row(4, cause="starting"),
        row(5, cause="ended", state="gone"),
        row(6, cause="slow-up", state="seeding"),
        row(7, cause="stalled"),
    ]
    assert [found.host for found in stragglers(watched_of(rows))] == [
        "10.0.0.3",
        "10.0.0.7",
        "10.0.0.2",
        "10.0.0.1",
    ]


def test_a_log_gets_all_of_it_in_one_line() -> None:
    (text,) = texts([line(fleet(), "app:2.1")])
    assert text == (
        "app:2.1  62.5 %  1 of 4 nodes  300 MiB/s  ETA 22.0 s  origin 1.02 x file  peers 74.5 %  "
        "behind: 10.0.0.4:7301 cut off 1:01, 10.0.0.3:7301 slow up"
    )


def test_what_machines_say_of_themselves_cannot_draw() -> None:
    evil = "x\x1b[2J\n\u202e"
    watched = watched_of([row(1, **SLOW | {"why": evil, "host": evil})], zones=[evil])
    for one in [*block(watched, "app:2.1", 79, 60), line(watched, "app:2.1")]:
        text = rendered(one, None, colour=False)
        assert "\x1b" not in text and "\n" not in text and "\u202e" not in text


def test_figures_that_cannot_be_are_drawn_all_the_same() -> None:
    odd = row(
        1,
        cause="stalled",
        silent_s=-1.0,
        have_chunks=-5,
        received_bytes_per_s=-1e300,
        zone_index=-7,
    )
    of = progress(eta_s=-1.0, rate_bytes_per_s=1e300, done_bytes=-1, bound_seconds=-1.0)
    watched = watched_of([odd], progress=of, size_bytes=-1, chunk_count=0, now_s=-1.0)
    assert texts(block(watched, "app:2.1", 79, 30))[-2].startswith("10.0.0.1:7301")
    assert "ETA 0.00 s" in texts([line(watched, "app:2.1")])[0]
