"""Whom a lookup asks: small ids, whose distance to the target 0 is the id itself."""

from strew.dht.contact import Contact, NodeId
from strew.dht.lookup import (
    PARALLEL_PER_PATH,
    PATHS,
    QUERIES_MAX,
    Candidate,
    Lookup,
)
from strew.dht.routing import BUCKET_CONTACTS_MAX

ME = NodeId(1 << 100)
K = BUCKET_CONTACTS_MAX
ALPHA = PATHS * PARALLEL_PER_PATH


def contact(number: int, host: int | None = None) -> Contact:
    host = number if host is None else host
    return Contact(NodeId(number), f"10.{host >> 16 & 255}.{host >> 8 & 255}.{host & 255}", 7301)


class Play:
    """A lookup of 0 that begins at some contacts."""

    def __init__(self, *numbers: int) -> None:
        self.lookup = Lookup(ME, 0)
        self.lookup.start([contact(number) for number in numbers])
        self.asked: dict[int, Candidate] = {}

    def next(self) -> list[int]:
        asked = self.lookup.next()
        numbers = []
        for candidate in asked:
            assert candidate.contact is not None
            self.asked[candidate.contact.id] = candidate
            numbers.append(int(candidate.contact.id))
        return numbers

    def answer(self, number: int, *named: int) -> None:
        nodes = [contact(other) for other in named]
        self.lookup.answered(self.asked[number], NodeId(number), nodes, b"token")

    def over(self) -> bool:
        return self.lookup.done

    def closest(self) -> list[int]:
        return [candidate.distance for candidate in self.lookup.closest()]


def test_the_nearest_of_each_path_are_asked_alpha_in_all() -> None:
    play = Play(*range(1, 9))
    assert play.next() == [1, 3, 2, 4]
    assert play.next() == []
    play.answer(1)
    assert play.next() == [5]


def test_a_nearer_node_is_asked_before_those_known_longer() -> None:
    play = Play(10, 20, 30, 40, 50, 60)
    assert play.next() == [10, 30, 20, 40]
    play.answer(10, 3)
    assert play.next() == [3]


def test_it_ends_when_the_nearest_of_both_paths_have_answered() -> None:
    play = Play(*range(1, 41))
    answered = 0
    while not play.lookup.done:
        for number in play.next():
            play.answer(number, *range(1, 41))
            answered += 1
    assert play.closest() == list(range(1, K + 1))
    assert answered == play.lookup.queries <= 2 * K


def test_nobody_to_ask_is_an_end() -> None:
    play = Play()
    assert play.next() == []
    assert play.lookup.done and play.closest() == [] and play.lookup.hops == 0


def test_a_late_answer_holds_up_nobody_and_is_still_taken() -> None:
    play = Play(1, 2, 3, 4, 5, 6)
    play.next()
    play.lookup.late(play.asked[1])
    assert play.next() == [5]
    play.answer(1, 9)
    assert play.closest() == [1]
    play.answer(3)
    assert play.next() == [9]


def test_it_waits_for_the_late_only_when_too_few_answered() -> None:
    few = Play(1)
    few.next()
    few.lookup.late(few.asked[1])
    assert few.next() == [] and not few.over()
    few.lookup.failed(few.asked[1])
    assert few.over()

    many = Play(*range(1, 31))
    late, *others = many.next()
    many.lookup.late(many.asked[late])
    while not many.lookup.done:
        for number in others:
            many.answer(number)
        others = many.next()
    assert late not in many.closest()


def test_who_failed_is_replaced_by_the_next() -> None:
    play = Play(1, 2, 3, 4, 5, 6)
    play.next()
    play.lookup.failed(play.asked[2])
    assert play.next() == [6]


def test_hops_count_the_answers_behind_the_nearest() -> None:
    play = Play(50)
    play.next()
    play.answer(50, 20)
    play.next()
    play.answer(20, 5)
    play.next()
    play.answer(5)
    assert play.lookup.done and play.lookup.hops == 3


def test_a_path_is_fed_only_by_its_own_answers() -> None:
    """A liar on one path invents nearer nodes that do not answer; the other reaches the truth."""
    play = Play(1000, 2000, 3000, 4000)
    invented = iter(range(1, 100))
    truth = list(range(200, 200 + K))
    steps = 0
    while not play.lookup.done and steps < 500:
        steps += 1
        for number in play.next():
            if number == 1000:
                play.answer(number, *(next(invented) for _ in range(8)))
            elif number < 100:
                play.lookup.failed(play.asked[number])
            else:
                play.answer(number, *truth)
    assert play.lookup.done
    assert play.closest() == truth


def test_ever_nearer_inventions_come_to_an_end() -> None:
    play = Play(1 << 90)
    while not play.lookup.done:
        for number in play.next():
            lie = number >> 1
            nodes = [contact(lie + n, play.lookup.queries * 16 + n) for n in range(8)]
            play.lookup.answered(play.asked[number], NodeId(number), nodes, b"")
    assert play.lookup.queries == QUERIES_MAX


def test_one_address_is_asked_once_whatever_ids_it_is_named_under() -> None:
    play = Play(1000)
    play.next()
    victim = [contact(number, host=77) for number in range(1, 9)]
    play.lookup.answered(play.asked[1000], NodeId(1000), victim, b"")
    assert len(play.next()) == 1


def test_a_node_cannot_be_hidden_under_a_distant_id() -> None:
    play = Play(*range(1000, 1020))
    play.next()
    play.lookup.answered(play.asked[1000], NodeId(1000), [contact(9999, host=7)], b"")
    play.lookup.answered(play.asked[1001], NodeId(1001), [contact(7, host=7)], b"")
    assert 7 in play.next()


def test_the_true_id_counts_once_it_answered() -> None:
    play = Play(3)
    play.next()
    play.lookup.answered(play.asked[3], NodeId(5000), [], b"")
    (candidate,) = play.lookup.closest()
    assert (candidate.distance, candidate.contact) == (
        5000,
        Contact(NodeId(5000), *contact(3).address),
    )


def test_oneself_is_not_asked() -> None:
    play = Play(3)
    play.next()
    play.lookup.answered(play.asked[3], NodeId(3), [Contact(ME, "10.5.5.5", 7301)], b"")
    assert play.next() == [] and play.lookup.done


def test_an_address_without_id_is_asked_first() -> None:
    lookup = Lookup(ME, 0)
    lookup.start([contact(1)], [("10.8.8.8", 7301)])
    assert [candidate.address[0] for candidate in lookup.next()] == ["10.8.8.8", "10.0.0.1"]


def test_what_one_seed_names_is_divided_over_the_paths() -> None:
    lookup = Lookup(ME, 0)
    lookup.start([], [("10.8.8.8", 7301)])
    (seed,) = lookup.next()
    lookup.answered(seed, NodeId(500), [contact(n) for n in range(1, 9)], b"")
    asked = lookup.next()
    assert len(asked) == ALPHA
    assert {candidate.path for candidate in asked} == set(range(PATHS))
