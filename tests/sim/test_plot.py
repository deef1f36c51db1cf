"""The picture: well-formed, every way drawn and named once, nothing outside or over another."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strew.errors import UsageError
from strew.sim.plot import HUES, WIDTH, completion_svg, duration

SVG = "{http://www.w3.org/2000/svg}"

STORY = {
    "single": [8000.0] * 1000,
    "chain": [8.0 + i * 0.008 for i in range(1000)],
    "tree": [16.1] * 1000,
    "swarm": [8.2 + i * 0.0001 for i in range(1000)],
}


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def of_class(root: ElementTree.Element, name: str, tag: str = "path") -> list[ElementTree.Element]:
    return [e for e in root.iter(SVG + tag) if name in e.get("class", "").split()]


def words(element: ElementTree.Element) -> str:
    return "".join(element.itertext())


def numbers(element: ElementTree.Element) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+", element.get("d", ""))]


def names(root: ElementTree.Element) -> list[tuple[float, float, str]]:
    """Left end, height and text of each name, with its time."""
    return [
        (float(t.get("x", "")), float(t.get("y", "")), words(t))
        for t in root.iter(SVG + "text")
        if t.find(SVG + "tspan") is not None
    ]


def test_every_way_and_bound_is_drawn_and_named() -> None:
    root = parsed(completion_svg(STORY, {"F/B": 8.0}, title="5 GB to 1000 machines"))
    assert len(of_class(root, "curve")) == 4
    assert len(of_class(root, "bound")) == 2  # the line and its leader
    assert {text for *_, text in names(root)} == {
        "single 2.22 h",
        "chain 16.0 s",
        "tree 16.1 s",
        "swarm 8.30 s",
        "F/B 8.00 s",
    }
    assert "5 GB to 1000 machines" in [words(text) for text in root.iter(SVG + "text")]
    assert words(next(root.iter(SVG + "desc"))).endswith("swarm 8.30 s")


def test_the_best_is_drawn_last_and_stronger() -> None:
    root = parsed(completion_svg(STORY, title="t"))
    assert [curve.get("class") for curve in of_class(root, "curve")][-1] == "curve best"
    assert len(of_class(root, "name", "text") + of_class(root, "name", "tspan")) == 1


def test_a_curve_climbs_from_none_to_all() -> None:
    root = parsed(completion_svg({"a": [1.0, 2.0, 4.0]}, title="t", log_time=False))
    (curve,) = of_class(root, "curve")
    heights = [float(h) for h in re.findall(r"V([\d.]+)", curve.get("d", ""))]
    start = float(re.findall(r"M[\d.]+ ([\d.]+)", curve.get("d", ""))[0])
    total = start - heights[-1]
    assert [(start - h) / total for h in heights] == pytest.approx([1 / 3, 2 / 3, 1], abs=1e-3)
    across = [float(x) for x in re.findall(r"H([\d.]+)", curve.get("d", ""))]
    assert (across[2] - across[1]) == pytest.approx(2 * (across[1] - across[0]), abs=1)


def test_machines_that_never_were_done_are_missing_at_the_top() -> None:
    root = parsed(completion_svg({"a": [1.0] * 10, "b": [1.0] * 9}, title="t", machines=10))
    tops = {min(numbers(curve)[1::2] or [0]) for curve in of_class(root, "curve")}
    assert len(of_class(root, "curve")) == 2 and len(tops) == 2


@pytest.mark.parametrize(
    ("curves", "log", "ticks"),
    [
        ({"a": [8.0, 17.0]}, None, ["0 s", "5 s", "10 s", "15 s"]),
        (
            STORY,
            None,
            ["10 s", "20 s", "1 min", "2 min", "5 min", "10 min", "20 min", "1 h", "2 h"],
        ),
        ({"a": [100.0, 1000.0]}, False, ["0 s", "5 min", "10 min", "15 min"]),
        ({"a": [0.011, 0.06]}, True, ["0.02 s", "0.05 s"]),
    ],
)
def test_ticks_are_round(
    curves: dict[str, list[float]], log: bool | None, ticks: list[str]
) -> None:
    root = parsed(completion_svg(curves, title="t", log_time=log))
    assert [words(text) for text in of_class(root, "tick", "text")] == ticks


def test_a_thousand_machines_make_a_small_picture() -> None:
    assert len(completion_svg(STORY, title="t")) < 20_000


def test_names_are_escaped() -> None:
    root = parsed(completion_svg({"<a&b>": [1.0]}, {'"x"': 0.5}, title="1 < 2 & 3"))
    assert {text for *_, text in names(root)} == {"<a&b> 1.00 s", '"x" 0.50 s'}


def test_both_looks_have_a_colour_for_everything() -> None:
    style = words(next(parsed(completion_svg(STORY, title="t")).iter(SVG + "style")))
    light, dark = style.split("@media (prefers-color-scheme:dark)")
    for rule in ["text{", ".surface{", ".grid{", ".best{", *(f".h{i}{{" for i in range(HUES))]:
        assert rule in light and rule in dark


@given(
    st.dictionaries(
        st.text("abcdefgh", min_size=1, max_size=12),
        st.lists(st.floats(0.01, 1e5), min_size=1, max_size=30).map(sorted),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([True, False, None]),
)
def test_no_name_covers_another_or_leaves_the_picture(
    curves: dict[str, list[float]], log: bool | None
) -> None:
    root = parsed(completion_svg(curves, {"F/B": curves[min(curves)][0]}, title="t", log_time=log))
    placed = sorted(names(root))
    assert len(placed) == len(curves) + 1
    for x, y, text in placed:
        assert x >= 0 and x + 6.4 * len(text) <= WIDTH
        assert y > 60
    for (x, y, text), (other, below, _) in pairwise(placed):
        assert other - x >= 6.9  # leaders stand apart
        assert below > y or other > x + 6.4 * len(text)
    for leader in of_class(root, "leader"):
        assert all(value >= 0 for value in numbers(leader))


@pytest.mark.parametrize("curves", [{}, {"a": []}, {"a": [0.0, 1.0]}])
def test_nothing_to_draw_is_refused(curves: dict[str, list[float]]) -> None:
    with pytest.raises(UsageError, match="no curve"):
        completion_svg(curves, title="t")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "0.50 s"),
        (9.994, "9.99 s"),
        (9.996, "10.0 s"),
        (99.96, "100 s"),
        (119, "119 s"),
        (121, "2.02 min"),
        (7199, "120 min"),
        (8000, "2.22 h"),
    ],
)
def test_durations_have_three_digits(seconds: float, text: str) -> None:
    assert duration(seconds) == text
