"""Tables and the picture of simulated runs."""

from __future__ import annotations

from strew.sim import report
from strew.sim.fleet import Terms
from strew.sim.run import SWARM, simulate

SMALL = Terms(nodes=12, chunks=30, size_bytes=30_000_000)


def test_tables_have_a_cell_in_each_column() -> None:
    outcomes = [
        simulate(SWARM, "slow10", SMALL),
        simulate(SWARM, "racks2", SMALL),
        simulate("chain", "flash", SMALL),
        simulate("tree", "flash", SMALL),
    ]
    results = [outcome.result for outcome in outcomes]
    for rows in (report.rows(results), report.class_rows(results), report.bound_rows(outcomes)):
        assert {len(row) for row in rows} == {len(rows[0])}
    assert [row[1] for row in report.class_rows(results)] == ["machines", "fast", "slow"]
    assert report.class_rows(results[2:]) == []
    assert report.digest_rows(results)[-1][-1] == results[-1].trace_digest


def test_a_picture_of_one_scenario_or_of_one_way() -> None:
    ways = [simulate(way, "flash", SMALL) for way in (SWARM, "chain")]
    drawn = report.picture(ways, "a title")
    assert "a title" in drawn and ">chain<" in drawn and ">swarm<" in drawn
    places = [simulate(SWARM, place, SMALL) for place in ("flash", "latency5")]
    assert ">latency5<" in report.picture(places, "a title")
