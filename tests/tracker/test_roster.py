"""Draws and rosters."""

import random
from collections import Counter

from strew.tracker.roster import Draw, Roster
from tests.announce.makers import peer_id


def test_a_draw_is_a_set_whatever_the_order_of_changes() -> None:
    dice = random.Random(4)
    draw, model = Draw(), set()
    for _ in range(2000):
        peer = peer_id(dice.randrange(40))
        if dice.random() < 0.5:
            draw.add(peer)
            model.add(peer)
        else:
            draw.discard(peer)
            model.discard(peer)
        assert len(draw) == len(model)
    assert set(draw.drawn(100, dice)) == model
    assert all((peer_id(n) in draw) == (peer_id(n) in model) for n in range(40))


def test_a_draw_is_fair_and_without_repetition() -> None:
    dice = random.Random(4)
    draw = Draw()
    for number in range(20):
        draw.add(peer_id(number))
    seen: Counter[str] = Counter()
    for _ in range(2000):
        drawn = draw.drawn(5, dice)
        assert len(set(drawn)) == 5
        seen.update(drawn)
    assert all(400 < count < 600 for count in seen.values())


def test_an_empty_roster_has_no_zones_left() -> None:
    roster = Roster()
    roster.put(peer_id(1), "a", complete=True)
    roster.put(peer_id(1), "b", complete=True)
    roster.dealt((peer_id(1),))
    assert roster.has_holder and len(roster) == 1
    roster.discard(peer_id(1))
    roster.discard(peer_id(1))
    assert not roster.has_holder and len(roster) == 0
    assert not roster._zones and not roster._handed
