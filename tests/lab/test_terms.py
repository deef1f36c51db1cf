"""What can be asked of a lab."""

import pytest

from strew.agent.quantity import GIB, MIB
from strew.errors import UsageError
from strew.lab.terms import Kill, Late, Slow, Terms, goodput


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (Terms(nodes=0), "0 nodes"),
        (Terms(nodes=65), "65 nodes"),
        (Terms(size_bytes=MIB - 1), "1048575 bytes"),
        (Terms(size_bytes=17 * GIB), "from 1M to 16G"),
        (Terms(rate_bytes_per_s=1000), "a link of 1000 bytes/s"),
        (Terms(slow=Slow(0.5, 1000)), "a link of 1000 bytes/s"),
        (Terms(slow=Slow(0.5, MIB), rate_bytes_per_s=None), "slow links without a rate"),
        (Terms(slow=Slow(1.0, MIB)), "a share of 1 of the nodes"),
        (Terms(late=Late(0.0, 1.0)), "a share of 0 of the nodes"),
        (Terms(kill=Kill(9, 1.0)), "node 9: they are numbered from 1 to 8"),
        (Terms(kill=Kill(0, 1.0)), "node 0"),
        (Terms(neighbours=0), "0 neighbours"),
    ],
)
def test_what_cannot_be_had_is_refused(terms: Terms, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        terms.check()


def test_the_last_machines_are_the_slow_and_the_late_ones() -> None:
    terms = Terms(nodes=8, slow=Slow(0.25, 3 * MIB), late=Late(0.5, 4.0))
    terms.check()
    assert [n for n in range(9) if terms.rate_of(n) == 3 * MIB] == [7, 8]
    assert [n for n in range(9) if terms.late_s_of(n) == 4.0] == [5, 6, 7, 8]
    assert terms.late_s_of(0) == terms.late_s_of(4) == 0.0


def test_a_share_is_at_least_one_machine() -> None:
    assert list(Terms(nodes=3, slow=Slow(0.1, MIB)).slow_numbers) == [3]
    assert not Terms().slow_numbers and not Terms().late_numbers


def test_goodput_leaves_out_the_headers_of_each_frame() -> None:
    assert goodput(12_500_000) == pytest.approx(12_500_000 * 8948 / 9014)


def test_more_than_the_cores_carry_is_seen() -> None:
    assert Terms(nodes=8, rate_bytes_per_s=12_500_000).overload(2) == pytest.approx(1.0)
    assert Terms(nodes=16, rate_bytes_per_s=12_500_000).overload(2) == pytest.approx(2.0)
    halves = Terms(nodes=8, rate_bytes_per_s=12_500_000, slow=Slow(0.5, 2_500_000))
    assert halves.overload(2) == pytest.approx(0.6)
    assert Terms(rate_bytes_per_s=None).overload(1) is None
