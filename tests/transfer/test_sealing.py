"""Sealed datagrams: what opens, what does not, and what is remembered of senders."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from strew.transfer import sealing
from strew.transfer.sealing import (
    DATAGRAM_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    SEAL_BYTES,
    SENDER_PER_S,
    WINDOW,
    Budget,
    Fault,
    Seal,
    Window,
)
from tests.transfer.ends import KEY, OTHER_KEY

LABEL = 0x11
OTHER_LABEL = 0x12


def pair() -> tuple[Seal, Seal]:
    return Seal(KEY), Seal(KEY)


def sealed(sender: Seal, count: int) -> list[bytes]:
    """Messages 0, 1, 2 ... whose text is their number."""
    return [sender.seal(LABEL, b"%d" % number) for number in range(count)]


# --- the bytes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [b"", b"x", bytes(MESSAGE_BYTES_MAX)])
def test_what_one_process_seals_another_opens(message: bytes) -> None:
    alice, bob = pair()
    datagram = alice.seal(LABEL, message)
    assert len(datagram) == len(message) + SEAL_BYTES <= DATAGRAM_BYTES_MAX
    assert bob.open(datagram, 0.0) == message


def test_a_longer_message_is_its_makers_fault() -> None:
    with pytest.raises(AssertionError, match="1360 bytes"):
        Seal(KEY).seal(LABEL, bytes(MESSAGE_BYTES_MAX + 1))


def test_the_layout_is_that_of_the_protocol() -> None:
    """Made here from the page that describes it, not from the code."""

    def field(part: bytes) -> bytes:
        return len(part).to_bytes(8, "big") + part

    sender, counter = bytes(range(100, 116)), 7
    fields = b"".join(map(field, (b"datagram", sender)))
    key = hmac.digest(KEY.secret, b"strew fleet 1" + fields, hashlib.sha256)
    header = bytes([LABEL]) + sender + counter.to_bytes(8, "big")
    body = AESGCM(key).encrypt(bytes(4) + counter.to_bytes(8, "big"), b"hello", header)
    assert Seal(KEY).open(header + body, 0.0) == b"hello"


def test_the_same_message_looks_different_each_time_and_from_each_process() -> None:
    alice, bob = pair()
    bodies = {seal.seal(LABEL, bytes(40))[25:] for seal in (alice, alice, bob, bob)}
    assert len(bodies) == 4


def test_the_message_cannot_be_read_in_the_datagram() -> None:
    assert b"secret" not in Seal(KEY).seal(LABEL, b"secret" * 20)


# --- what does not open ---------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 40, DATAGRAM_BYTES_MAX + 1, 65_507])
def test_a_length_that_no_sealed_datagram_has(length: int) -> None:
    assert Seal(KEY).open(bytes(length), 0.0) is Fault.LENGTH


def test_every_flipped_bit_is_seen() -> None:
    alice, bob = pair()
    datagram = alice.seal(LABEL, b"hello")
    for place in range(8 * len(datagram)):
        changed = bytearray(datagram)
        changed[place // 8] ^= 1 << place % 8
        assert bob.open(bytes(changed), 0.0) is Fault.TAG
    assert bob.open(datagram, 0.0) == b"hello", "and none of them shuts out the true one"


def test_a_datagram_of_another_fleet_does_not_open() -> None:
    assert Seal(KEY).open(Seal(OTHER_KEY).seal(LABEL, b"hello"), 0.0) is Fault.TAG


def test_one_kind_does_not_pass_for_another() -> None:
    alice, bob = pair()
    relabelled = bytes([OTHER_LABEL]) + alice.seal(LABEL, b"hello")[1:]
    assert bob.open(relabelled, 0.0) is Fault.TAG


def test_a_message_does_not_pass_for_another_processs() -> None:
    alice, bob = pair()
    carol = Seal(KEY)
    mixed = alice.seal(LABEL, b"hello")[:25] + carol.seal(LABEL, b"hello")[25:]
    assert bob.open(mixed, 0.0) is Fault.TAG


def test_what_one_sent_oneself_does_not_come_back() -> None:
    alice = Seal(KEY)
    assert alice.open(alice.seal(LABEL, b"hello"), 0.0) is Fault.REPLAY


# --- replay ---------------------------------------------------------------------------------------


def test_a_datagram_is_taken_once() -> None:
    alice, bob = pair()
    datagram = alice.seal(LABEL, b"hello")
    assert bob.open(datagram, 0.0) == b"hello"
    assert bob.open(datagram, 0.0) is Fault.REPLAY
    assert bob.open(datagram, 9999.0) is Fault.REPLAY


def test_within_the_window_the_order_does_not_matter() -> None:
    alice, bob = pair()
    datagrams = sealed(alice, WINDOW)
    for number in [WINDOW - 1, 0, 500, 1, WINDOW - 2]:
        assert bob.open(datagrams[number], 0.0) == b"%d" % number
        assert bob.open(datagrams[number], 0.0) is Fault.REPLAY


def test_what_is_older_than_the_window_is_not_taken() -> None:
    alice, bob = pair()
    datagrams = sealed(alice, WINDOW + 2)
    assert bob.open(datagrams[WINDOW + 1], 0.0) == b"%d" % (WINDOW + 1)
    assert bob.open(datagrams[1], 0.0) is Fault.REPLAY
    assert bob.open(datagrams[2], 0.0) == b"2", "the oldest inside"


def test_a_gap_wider_than_the_window_forgets_what_is_before_it() -> None:
    window = Window()
    for counter in (0, 5, 10**15):
        window.add(counter)
    assert [window.is_new(c) for c in (5, 6, 10**15 - 1, 10**15, 10**15 + 1)] == [
        False,
        False,
        True,
        False,
        True,
    ]


@given(st.lists(st.integers(0, 3 * WINDOW) | st.integers(0, 2**64 - 1), max_size=200))
def test_a_window_is_a_set_that_forgets_what_is_old(counters: list[int]) -> None:
    window, came = Window(), set[int]()
    for counter in counters:
        new = counter not in came and counter > max(came, default=0) - WINDOW
        assert window.is_new(counter) == new
        if new:
            window.add(counter)
            came.add(counter)


# --- senders --------------------------------------------------------------------------------------


def test_nothing_is_remembered_of_what_proves_no_key() -> None:
    alice, bob = Seal(OTHER_KEY), Seal(KEY)
    for datagram in sealed(alice, 100):
        bob.open(datagram, 0.0)
        assert not bob.knows(datagram)
    assert bob.sender_count == 0


def test_a_sender_is_known_once_it_proved_the_key() -> None:
    alice, bob = pair()
    first, second = sealed(alice, 2)
    assert not bob.knows(first)
    bob.open(first, 0.0)
    assert bob.knows(second) and bob.sender_count == 1


def test_the_sender_silent_for_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "SENDERS_MAX", 3)
    bob, others = Seal(KEY), [Seal(KEY) for _ in range(4)]
    for number in (0, 1, 2, 0, 3):
        bob.open(others[number].seal(LABEL, b""), 0.0)
    known = [bob.knows(other.seal(LABEL, b"")) for other in others]
    assert known == [True, False, True, True] and bob.sender_count == 3


def test_a_sender_has_a_budget_and_others_theirs() -> None:
    alice, bob = pair()
    carol = Seal(KEY)
    opened = [bob.open(datagram, 0.0) for datagram in sealed(alice, SENDER_PER_S + 3)]
    assert opened[SENDER_PER_S - 1 :] == [b"999", Fault.FLOOD, Fault.FLOOD, Fault.FLOOD]
    assert bob.open(carol.seal(LABEL, b"hello"), 0.0) == b"hello"
    assert bob.open(alice.seal(LABEL, b"later"), 0.1) == b"later", "no silence for a member"


def test_forged_datagrams_do_not_use_up_a_senders_budget() -> None:
    alice, bob = pair()
    first, second = sealed(alice, 2)
    bob.open(first, 0.0)
    forged = second[:-1] + bytes([second[-1] ^ 1])
    for _ in range(2 * SENDER_PER_S):
        assert bob.open(forged, 0.0) is Fault.TAG
    assert bob.open(second, 0.0) == b"1"


def test_a_budget_saves_up_one_second() -> None:
    budget = Budget(10, 0.0)
    assert [budget.take(3600.0) for _ in range(11)] == [True] * 10 + [False]
    assert [budget.take(3600.25) for _ in range(3)] == [True, True, False]


# --- anything -------------------------------------------------------------------------------------


@given(st.binary(max_size=DATAGRAM_BYTES_MAX + 2))
def test_random_bytes_do_not_open_and_do_not_raise(data: bytes) -> None:
    bob = Seal(KEY)
    assert isinstance(bob.open(data, 0.0), Fault)
    assert not bob.knows(data)
