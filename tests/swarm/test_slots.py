"""Upload slots are counted over all swarms of a node, for each layer apart."""

from __future__ import annotations

import pytest

from strew.swarm.slots import DETACHED_MAX_RATIO, PUSH_SLOTS_MIN, Slot, UploadSlots

USED = (Slot.PUSHING, Slot.SERVING)


def test_slots_are_taken_and_given_back() -> None:
    slots = UploadSlots(2)
    slots.take(Slot.SERVING)
    slots.take(Slot.SERVING)
    assert slots.free == 0
    slots.give_back(Slot.SERVING)
    assert slots.free == 1


def test_the_layers_are_counted_apart() -> None:
    slots = UploadSlots(2)
    for _ in range(PUSH_SLOTS_MIN):
        slots.take(Slot.PUSHING)
    assert (slots.free_to_push, slots.free) == (0, 2), "nobody who asked waits for a push"
    slots.take(Slot.SERVING)
    slots.give_back(Slot.PUSHING)
    assert (slots.free_to_push, slots.free) == (1, 1)


def test_a_setting_above_the_least_counts_for_pushes_too() -> None:
    assert UploadSlots(1).free_to_push == PUSH_SLOTS_MIN
    assert UploadSlots(2 * PUSH_SLOTS_MIN).free_to_push == 2 * PUSH_SLOTS_MIN


@pytest.mark.parametrize("slot", USED)
def test_a_detached_send_frees_its_slot(slot: Slot) -> None:
    slots = UploadSlots(1)
    before = (slots.free, slots.free_to_push)
    slots.take(slot)
    assert slots.detach(slot)
    assert (slots.free, slots.free_to_push, slots.detached) == (*before, 1)
    slots.give_back(Slot.DETACHED)
    assert (slots.free, slots.free_to_push, slots.detached) == (*before, 0)


@pytest.mark.parametrize("slot", USED)
def test_detached_sends_are_bounded(slot: Slot) -> None:
    slots = UploadSlots(1)
    before = slots.free + slots.free_to_push
    for _ in range(DETACHED_MAX_RATIO):
        slots.take(slot)
        assert slots.detach(slot)
    slots.take(slot)
    assert not slots.detach(slot)
    assert (slots.free + slots.free_to_push, slots.detached) == (before - 1, DETACHED_MAX_RATIO)


@pytest.mark.parametrize("slot", [*USED, Slot.DETACHED])
def test_what_was_not_taken_cannot_be_given_back(slot: Slot) -> None:
    with pytest.raises(AssertionError):
        UploadSlots(3).give_back(slot)


def test_who_has_no_slot_has_nothing_to_give_back() -> None:
    slots = UploadSlots(3)
    slots.give_back(Slot.NONE)
    assert (slots.pushing, slots.serving, slots.detached) == (0, 0, 0)
