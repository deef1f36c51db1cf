"""How fast one source may ask."""

from strew.access.budgets import Budgets


def test_a_burst_then_its_rate() -> None:
    budgets = Budgets(per_s=2.0, burst=3)
    assert [budgets.take("a", 0.0) for _ in range(3)] == [0.0] * 3
    assert budgets.take("a", 0.0) == 0.5, "the time until the next one"
    assert budgets.take("a", 0.25) == 0.25, "being refused costs nothing"
    assert budgets.take("a", 0.5) == 0.0
    assert budgets.take("a", 0.5) == 0.5


def test_sources_do_not_share() -> None:
    budgets = Budgets(per_s=1.0, burst=1)
    assert budgets.take("a", 0.0) == 0.0 and budgets.take("b", 0.0) == 0.0
    assert budgets.take("a", 0.0) > 0.0


def test_what_is_saved_up_has_an_end() -> None:
    budgets = Budgets(per_s=1.0, burst=2)
    budgets.take("a", 0.0)
    assert [budgets.take("a", 1e6) == 0.0 for _ in range(3)] == [True, True, False]


def test_what_turned_out_well_does_not_count() -> None:
    budgets = Budgets(per_s=0.1, burst=1)
    for _ in range(10):
        assert budgets.take("a", 0.0) == 0.0
        budgets.give_back("a", 0.0)
    budgets.give_back("a", 0.0)
    assert budgets.take("a", 0.0) == 0.0 and budgets.take("a", 0.0) > 0.0, "never more than a burst"


def test_the_quietest_source_is_forgotten_first() -> None:
    budgets = Budgets(per_s=0.001, burst=1, sources_max=3)
    for source in ("a", "b", "a", "c", "d"):
        budgets.take(source, 0.0)
    assert len(budgets) == 3
    assert budgets.take("a", 0.0) > 0.0 and budgets.take("b", 0.0) == 0.0
