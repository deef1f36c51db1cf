"""Text measured in columns, cut, coloured and made plain."""

import pytest

from strew.cli.painting import (
    Line,
    ascii_only,
    bar,
    columns_of,
    cut,
    padded,
    plain,
    rendered,
    sparkline,
)


def test_wide_and_combining_characters_are_measured_as_terminals_do() -> None:
    assert columns_of("abc") == 3
    assert columns_of("机器") == 4
    assert columns_of("e\u0301") == 1


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("机器人", 4, "机…"),
        ("ab cd", 4, "ab…"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
    ],
)
def test_a_text_is_cut_to_its_place(text: str, columns: int, shown: str) -> None:
    assert cut(text, columns) == shown
    assert columns_of(cut(text, columns)) <= columns


def test_padding_fills_exactly() -> None:
    assert padded("ab", 4) == "ab  " and padded("ab", 4, right=True) == "  ab"
    assert columns_of(padded("机器人机器人", 7)) == 7


@pytest.mark.parametrize("ratio", [-1.0, 0.0, 0.013, 0.5, 0.999, 1.0, 7.0])
def test_a_bar_has_its_width_whatever_it_shows(ratio: float) -> None:
    line = bar(ratio, 20)
    assert sum(columns_of(text) for text, _ in line) == 20


def test_a_bar_is_full_at_the_end_and_not_before() -> None:
    assert bar(1.0, 5)[0][0] == "█████"
    assert bar(0.0, 5)[0][0] == ""
    assert bar(0.99, 5)[0][0] != "█████"


def test_a_sparkline_is_of_the_last_values() -> None:
    assert sparkline([9, 9, 0, 4, 8], 3) == "▁▅█"
    assert sparkline([0, 0], 3) == sparkline([], 3) == ""


def test_colour_is_left_out_where_it_is_not_wanted() -> None:
    line: Line = (("bad", "bad"), (" news", ""))
    assert rendered(line, None, colour=False) == "bad news"
    assert rendered(line, None, colour=True) == "\x1b[31mbad\x1b[0m news"
    assert rendered(line, 5, colour=False) == "bad…"


def test_what_came_from_outside_cannot_move_the_cursor() -> None:
    assert "\x1b" not in plain("rack\x1b[2J\r\n7")


def test_plain_terminals_get_as_many_columns_without_blocks() -> None:
    text = "███▌···  → 1.02 × file…"
    assert ascii_only(text).isascii()
    assert len(ascii_only(text)) == len(text)
