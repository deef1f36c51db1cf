"""Counting copies of chunks by whole bitfields."""

import random

from strew.telemetry.copies import Copies, Rarest


def test_nobody_has_anything_at_first() -> None:
    copies = Copies(5)
    assert copies.rarest() == Rarest(0, 5, 0)
    assert copies.nowhere() == 0b11111


def test_the_rarest_chunk_is_the_one_with_the_fewest_copies() -> None:
    copies = Copies(4)
    copies.move(0, 0b1111)
    copies.move(0, 0b1011)
    copies.move(0, 0b0011)
    assert copies.rarest() == Rarest(1, 1, 2)
    assert copies.nowhere() == 0


def test_an_artifact_without_chunks_has_no_rarest() -> None:
    assert Copies(0).rarest() is None


def test_counts_are_those_of_a_plain_count_whatever_comes_and_goes() -> None:
    dice = random.Random(7)
    size = 40
    copies = Copies(size)
    machines = [0] * 60
    for _ in range(2000):
        number = dice.randrange(len(machines))
        after = dice.choice([0, (1 << size) - 1, dice.getrandbits(size)])
        copies.move(machines[number], after)
        machines[number] = after
        counts = [sum(bits >> chunk & 1 for bits in machines) for chunk in range(size)]
        least = min(counts)
        expected = Rarest(least, counts.count(least), counts.index(least))
        assert copies.rarest() == expected
        empty = [chunk for chunk in range(size) if not counts[chunk]]
        assert copies.nowhere() == sum(1 << chunk for chunk in empty)
