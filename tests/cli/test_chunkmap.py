"""Cells as pixels."""

from strew.cli.chunkmap import BEYOND, COLOURS, GROUND, pixels
from strew.telemetry.cells import cell
from strew.telemetry.protocol import Source

ORIGIN, NEAR = cell(Source.ORIGIN, 9), cell(Source.NEAR, 9)


def test_a_small_fleet_has_a_line_for_each_machine_and_nothing_below() -> None:
    picture = pixels([ORIGIN + "(", "((", NEAR * 2], 4, 5)
    assert picture[0] == [COLOURS[Source.ORIGIN]] * 2 + [GROUND] * 2
    assert picture[1] == [GROUND] * 4
    assert picture[2] == [COLOURS[Source.NEAR]] * 4
    assert picture[3] == picture[4] == [BEYOND] * 4


def test_a_large_one_is_binned_evenly() -> None:
    rows = [NEAR * 256] * 500 + ["(" * 256] * 500
    picture = pixels(rows, 10, 20)
    assert picture[:10] == [[COLOURS[Source.NEAR]] * 10] * 10
    assert picture[10:] == [[GROUND] * 10] * 10


def test_a_pixel_of_several_is_between_them() -> None:
    ((pixel,),) = pixels([NEAR + "("], 1, 1)
    assert all(
        min(g, n) < p < max(g, n)
        for p, g, n in zip(pixel, GROUND, COLOURS[Source.NEAR], strict=True)
    )


def test_more_of_a_column_is_stronger() -> None:
    levels = [pixels([cell(Source.FAR, level)], 1, 1)[0][0] for level in (1, 5, 9)]
    assert levels == sorted(levels)


def test_no_machines_and_no_cells_are_empty_pictures() -> None:
    assert pixels([], 3, 2) == [[BEYOND] * 3] * 2
    assert pixels([""], 3, 1) == [[GROUND] * 3]
