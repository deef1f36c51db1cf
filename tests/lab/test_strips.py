"""What links did over time."""

from xml.etree import ElementTree

import pytest

from strew.lab.strips import Record, strips_svg


def record(rate: float | None = 100.0) -> Record:
    """Host 0 sends for a second, pauses for one, sends at half its rate for two."""
    sent = [(0.0, 0), (1.0, 100), (2.0, 100), (4.0, 200)]
    looks = [(10.0 + at_s, {"port0": (count, 0)}) for at_s, count in sent]
    return Record("strew", ["port0"], {"port0": rate}, looks)


@pytest.mark.parametrize(
    ("cells", "busy"),
    [(4, [1.0, 0.0, 0.5, 0.5]), (2, [0.5, 0.5]), (8, [1, 1, 0, 0, 0.5, 0.5, 0.5, 0.5])],
)
def test_busy_is_what_moved_of_what_could(cells: int, busy: list[float]) -> None:
    assert record().busy("port0", 0, cells) == pytest.approx(busy)
    assert record().busy("port0", 1, cells) == [0.0] * cells


def test_without_a_rate_the_busiest_stretch_is_the_measure() -> None:
    assert record(None).busy("port0", 0, 2) == [1.0, 1.0]
    assert record(None).busy("port0", 1, 2) == [0.0, 0.0]


def test_what_was_hardly_looked_at_was_not_busy() -> None:
    assert Record("strew", ["port0"], {"port0": 1.0}).busy("port0", 0, 3) == [0.0] * 3


def test_the_picture_has_a_strip_for_each() -> None:
    picture = strips_svg("8 nodes <", [record()])
    ElementTree.fromstring(picture)
    assert "origin up" in picture and "strew: 4.00 s" in picture
