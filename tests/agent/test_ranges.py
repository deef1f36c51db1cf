"""Range headers, as RFC 9110 has them and as it does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.agent.ranges import Part, part_asked_for

SIZE = 1000


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", Part(0, 1)),
        ("bytes=5-", Part(5, SIZE)),
        ("bytes=5-9", Part(5, 10)),
        ("bytes=5-5000", Part(5, SIZE)),
        ("bytes=-7", Part(SIZE - 7, SIZE)),
        ("bytes=-5000", Part(0, SIZE)),
        ("Bytes= 1-2 ", Part(1, 3)),
        ("bytes=007-0009", Part(7, 10)),
    ],
)
def test_a_range_is_a_part_of_the_file(header: str, part: Part) -> None:
    assert part_asked_for(header, SIZE) == part


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-2000", "bytes=-0"])
def test_what_lies_behind_the_end_is_empty(header: str) -> None:
    part = part_asked_for(header, SIZE)
    assert part is not None and part.empty


def test_an_empty_file_has_no_part() -> None:
    for header in ("bytes=0-", "bytes=0-0", "bytes=-1"):
        part = part_asked_for(header, 0)
        assert part is not None and part.empty


def test_positions_of_any_length_are_read() -> None:
    assert part_asked_for("bytes=0-" + "9" * 5000, SIZE) == Part(0, SIZE)
    far = part_asked_for("bytes=" + "9" * 5000 + "-", SIZE)
    assert far is not None and far.empty
    assert part_asked_for("bytes=" + "0" * 5000 + "1-1", SIZE) == Part(1, 2)


@pytest.mark.parametrize(
    "header",
    [
        *("", "bytes", "bytes=", "bytes=-", "bytes=9-5", "bytes=a-b", "bytes=+1-2", "bytes=1_0-20"),
        *("bytes=--5", "bytes=0-1,5-6", "chars=0-1", "bytes=٣-٥", "bytes=0-1\n", " bytes=0-1"),
    ],
)
def test_what_is_no_single_range_of_bytes_is_ignored(header: str) -> None:
    assert part_asked_for(header, SIZE) is None


@given(first=st.integers(0), last=st.integers(0), size_bytes=st.integers(0, 1 << 63))
def test_a_part_lies_within_its_file(first: int, last: int, size_bytes: int) -> None:
    part = part_asked_for(f"bytes={first}-{last}", size_bytes)
    if first > last:
        assert part is None
    else:
        assert part is not None
        assert part.empty == (first >= size_bytes)
        assert part.empty or part == (first, min(last + 1, size_bytes))
