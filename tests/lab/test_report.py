"""Table and picture."""

from xml.etree import ElementTree

from strew.lab import report
from strew.lab.contender import Spread
from strew.lab.result import LabResult, Spent, lab_result
from strew.lab.terms import Kill, Late, Slow, Terms

TERMS = Terms(nodes=2, size_bytes=100 << 20, rate_bytes_per_s=12_500_000)


def result(name: str, last_s: float, terms: Terms = TERMS) -> LabResult:
    spread = Spread(started_s=0.0, done_s={1: 9.0, 2: last_s}, chunks=100, duplicate_bytes=0)
    spent = Spent(cpu_s=1.0, rss_peak_bytes=50 << 20, origin_link_bytes=110 << 20)
    return lab_result(name, 1, terms, spread, spent, 2)


def test_one_run_is_one_row() -> None:
    head, row = report.rows([result("strew", 9.5)])
    cells = dict(zip(head, row, strict=True))
    assert cells["contender"] == "strew"
    assert (cells["last"], cells["last/line"]) == ("9.50 s", "1.124")
    assert (cells["card"], cells["duplicates"]) == ("1.100 F", "0.00 %")
    assert (cells["memory"], cells["verified"]) == ("50.0 MiB", "2 of 2")
    assert report.kind_rows([result("strew", 9.5)]) == []


def test_several_rounds_are_told_as_median_and_spread() -> None:
    runs = [result("strew", 9.5), result("nginx", 30.0), result("strew", 9.7), result("strew", 9.6)]
    head, strew, nginx = report.rows(runs)
    ratio = head.index("last/line")
    assert (strew[0], nginx[0]) == ("strew", "nginx")
    assert strew[ratio] == "1.136 (1.124 to 1.148)"
    assert strew[head.index("last")] == "9.60 s"


def test_kinds_of_machines_stand_apart() -> None:
    terms = Terms(
        nodes=2,
        size_bytes=100 << 20,
        rate_bytes_per_s=12_500_000,
        slow=Slow(0.5, 3_125_000),
        kill=Kill(1, 0.5),
        neighbours=24,
    )
    head, fast, slow = report.kind_rows([result("strew", 40.0, terms)])
    assert fast[head.index("kind")] == "fast" and slow[head.index("kind")] == "slow"
    words = report.words_of(terms)
    assert "1 of them 2.98 MiB/s = 25 Mbit/s" in words
    assert "node 1 killed after 0.5 s" in words and "at most 24 neighbours" in words


def test_what_it_is_measured_by() -> None:
    line, bound, *_ = report.against(result("strew", 9.5))
    assert "99.27 Mbit/s of goodput" in line and "M = 100" in bound
    unshaped = Terms(nodes=2, rate_bytes_per_s=None, late=Late(0.5, 1.0))
    assert report.against(result("strew", 9.5, unshaped)) == ["no rate, no bound"]
    assert "unshaped links" in report.words_of(unshaped)


def test_the_picture_has_a_curve_for_each() -> None:
    runs = [result("strew", 9.5), result("aria2", 12.0), result("strew", 10.0)]
    picture = report.picture(runs, TERMS)
    ElementTree.fromstring(picture)
    assert all(word in picture for word in ("strew", "aria2", "F/B"))
