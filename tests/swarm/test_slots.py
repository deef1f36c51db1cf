"""Upload slots are counted over all swarms of a node."""

from __future__ import annotations

import pytest

from strew.swarm.slots import DETACHED_MAX_RATIO, UploadSlots


def test_slots_are_taken_and_given_back() -> None:
    slots = UploadSlots(2)
    slots.take()
    slots.take()
    assert slots.free == 0
    slots.give_back()
    assert slots.free == 1


def test_a_detached_send_frees_its_slot() -> None:
    slots = UploadSlots(1)
    slots.take()
    assert slots.detach()
    assert (slots.free, slots.detached) == (1, 1)
    slots.end_detached()
    assert (slots.free, slots.detached) == (1, 0)


def test_detached_sends_are_bounded() -> None:
    slots = UploadSlots(1)
    for _ in range(DETACHED_MAX_RATIO):
        slots.take()
        assert slots.detach()
    slots.take()
    assert not slots.detach()
    assert (slots.free, slots.detached) == (0, DETACHED_MAX_RATIO)


@pytest.mark.parametrize("wrong", [UploadSlots.give_back, UploadSlots.end_detached])
def test_what_was_not_taken_cannot_be_given_back(wrong: object) -> None:
    with pytest.raises(AssertionError):
        wrong(UploadSlots(3))  # type: ignore[operator]
