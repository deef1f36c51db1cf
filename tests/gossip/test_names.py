"""Which publication of a reference counts, and what is kept as a conflict."""

import itertools

import pytest

from strew.gossip.names import CONFLICT_MS, CONFLICTS_MAX, NAMES_MAX, Names
from strew.gossip.protocol import Named
from tests.gossip.makers import told

FIRST = told(version=1_000_000, artifact="one", by=1)
SAME_TIME = told(version=1_000_000 + CONFLICT_MS, artifact="two", by=2)
LATER = told(version=1_000_001 + CONFLICT_MS, artifact="three", by=3)


def test_the_highest_version_counts_and_older_ones_are_no_news() -> None:
    names = Names()
    assert names.hear(FIRST)
    assert not names.hear(FIRST)
    assert names.hear(LATER)
    assert not names.hear(FIRST)
    assert names.by_reference == {"app:v1": LATER}


def test_ties_go_to_the_greater_artifact_id_in_either_order() -> None:
    two = [told(artifact=text, by=by) for by, text in enumerate(("one", "two"), 1)]
    winner = max(two, key=lambda one: one.publication.artifact)
    for order in (two, two[::-1]):
        names = Names()
        for one in order:
            if not names.hear(one):
                names.notice(one, names.by_reference["app:v1"])
        assert names.by_reference["app:v1"] == winner
        assert [one for one in two if one != winner] == list(names.conflicts.values())


@pytest.mark.parametrize("order", list(itertools.permutations([FIRST, SAME_TIME])))
def test_two_publishers_at_the_same_time_conflict_in_whatever_order_they_are_heard(
    order: tuple[Named, ...],
) -> None:
    names = Names()
    for one in order:
        if not names.hear(one):
            assert names.notice(one, names.by_reference["app:v1"])
            assert not names.notice(one, names.by_reference["app:v1"])
    assert names.by_reference["app:v1"] == SAME_TIME
    assert names.conflicts == {"app:v1": FIRST}


@pytest.mark.parametrize(
    "other",
    [
        LATER,
        told(version=1_000_001, artifact="two", by=1),
        told(version=1_000_001, artifact="one", by=2),
    ],
)
def test_a_later_publication_one_of_the_same_publisher_and_the_same_artifact_are_no_conflict(
    other: Named,
) -> None:
    names = Names()
    names.hear(FIRST)
    assert names.hear(other)
    assert names.conflicts == {}


def test_a_conflict_ends_with_the_next_publication() -> None:
    names = Names()
    names.hear(FIRST)
    names.hear(SAME_TIME)
    assert names.conflicts
    names.hear(told(version=2_000_000, artifact="four", by=1))
    assert names.conflicts == {}


def test_of_too_many_conflicts_the_oldest_is_forgotten() -> None:
    names = Names()
    for number in range(CONFLICTS_MAX + 1):
        names.hear(told(f"app:{number}", artifact="one", by=1))
        lost = told(f"app:{number}", 1_000_001, artifact="two", by=2)
        names.hear(lost)
    assert len(names.conflicts) == CONFLICTS_MAX
    assert "app:0" not in names.conflicts


def test_of_too_many_names_the_one_with_the_lowest_version_goes() -> None:
    names = Names()
    for number in range(NAMES_MAX):
        names.hear(told(f"app:{number}", 1000 + number))
    before = names.sums.read()
    assert not names.hear(told("low:v1", 999))
    assert names.sums.read() == before
    assert names.hear(told("high:v1", 1_000_000))
    assert "app:0" not in names.by_reference
    assert len(names.by_reference) == NAMES_MAX


def test_sums_do_not_depend_on_the_way_there() -> None:
    one, other = Names(), Names()
    for told_of in (FIRST, SAME_TIME, LATER):
        one.hear(told_of)
    other.hear(LATER)
    assert one.sums.read() == other.sums.read()
