"""The map's row of one machine as text."""

from hypothesis import given
from hypothesis import strategies as st

from strew.telemetry.cells import LEVELS, cell, cells_of, columns_of, runs_changed
from strew.telemetry.protocol import COLUMNS_MAX, Source


def level_of(text: str) -> int:
    return 0 if text == "(" else (ord(text) - 40) % 10


def source_of(text: str) -> int:
    return (ord(text) - 40) // 10 + 1


def test_a_small_artifact_has_a_column_for_each_chunk() -> None:
    assert cells_of(0b0110, 4, "", otherwise=Source.FAR) == "(EE("
    assert cells_of(0b0110, 4, "0120", otherwise=Source.FAR) == "(1;("


def test_an_artifact_without_chunks_has_no_cells() -> None:
    assert cells_of(0, 0, "", otherwise=Source.FAR) == ""


def test_a_whole_machine_is_full_everywhere() -> None:
    assert cells_of(0b1111, 4, "1230", otherwise=Source.LOCAL) == "1;EO"


def test_sources_of_another_width_are_not_believed() -> None:
    assert cells_of(0b11, 2, "1", otherwise=Source.FAR) == "EE"


@given(st.integers(1, 3 * COLUMNS_MAX), st.data())
def test_a_column_is_full_if_all_of_it_is_there_and_empty_if_nothing_is(
    count: int, data: st.DataObject
) -> None:
    bits = data.draw(st.integers(0, (1 << count) - 1))
    cells = cells_of(bits, count, "", otherwise=Source.NEAR)
    columns = columns_of(count)
    assert len(cells) == columns
    for column, text in enumerate(cells):
        chunks = range(column * count // columns, (column + 1) * count // columns)
        here = sum(bits >> chunk & 1 for chunk in chunks)
        assert (level_of(text) == 0) is (here == 0)
        assert (level_of(text) == LEVELS) is (here == len(chunks))
        assert not here or source_of(text) == Source.NEAR


def test_every_character_stands_in_json_as_itself() -> None:
    told = {cell(source, level) for source in range(1, 5) for level in range(1, 10)}
    assert len(told) == 36 and not told & set('"\\') and all(" " < c < "\x7f" for c in told)


@given(st.text("(1;E", min_size=1, max_size=80), st.data())
def test_applying_the_runs_that_changed_makes_the_new_row(before: str, data: st.DataObject) -> None:
    after = data.draw(st.text("(1;E", min_size=len(before), max_size=len(before)))
    row = before
    for start, text in runs_changed(before, after):
        row = row[:start] + text + row[start + len(text) :]
    assert row == after
