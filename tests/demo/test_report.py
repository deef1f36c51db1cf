"""The table."""

from strew.demo import report
from strew.demo.measure import GIB, Counts, Result, result_of
from strew.demo.strategies import STRATEGIES
from strew.demo.trial import Terms


def result(rate_bytes_per_s: int | None) -> Result:
    counts = Counts(
        seconds=[10.5, 11.0, 12.0],
        chunks=4000,
        origin_sent_bytes=GIB,
        duplicate_bytes=0,
        verified=2,
        cpu_s=9.0,
        rss_peak_bytes=50 << 20,
    )
    return result_of("swarm", GIB, rate_bytes_per_s, counts)


def test_a_row_has_a_cell_for_every_column() -> None:
    head, row = report.rows([result(GIB // 10)])
    cells = dict(zip(head, row, strict=True))
    assert cells == {
        "strategy": "swarm",
        "first": "10.5 s",
        "median": "11.0 s",
        "last": "12.0 s",
        "last/bound": "1.200",
        "origin sent": "1.00 F",
        "duplicates": "0.00 %",
        "CPU s/GiB": "3.00",
        "memory": "50.0 MiB",
        "verified": "2 of 3",
    }


def test_what_it_is_measured_by() -> None:
    line, bound, server = report.against(result(GIB // 10))
    assert "10.0 s" in line
    assert "10.0 s" in bound and "M = 4000" in bound
    assert "30.0 s" in server


def test_without_a_rate_there_is_nothing_to_be_measured_by() -> None:
    _, row = report.rows([result(None)])
    assert report.UNKNOWN in row
    assert report.against(result(None)) == ["no rate, no bound: --rate 25M limits every link"]


def test_every_way_is_explained() -> None:
    terms = Terms(nodes=8)
    for strategy in STRATEGIES:
        assert report.meaning(strategy, terms).startswith(f"{strategy}: ")
    assert "3 nodes" in report.meaning("replicated", terms)
    assert "other 5" in report.meaning("replicated", terms)
