"""Records of who provides a key, and the tokens that open them."""

import random

import pytest

from strew.dht import providers
from strew.dht.contact import Key
from strew.dht.providers import (
    EXPIRY_S,
    HOST_PROVIDERS_MAX,
    KEY_PROVIDERS_MAX,
    SECRET_S,
    Providers,
)

KEY, OTHER = Key(1), Key(2)
A, B = ("10.0.0.1", 7301), ("10.0.0.2", 7301)


def made() -> Providers:
    return Providers(random.Random(5))


def host(number: int) -> str:
    return f"10.1.{number >> 8}.{number & 255}"


def test_a_provider_is_named_until_it_expires() -> None:
    kept = made()
    assert kept.add(KEY, A, 0.0)
    assert kept.sample(KEY, 50, EXPIRY_S - 1) == (A,)
    assert kept.sample(OTHER, 50, 0.0) == ()
    assert kept.sample(KEY, 50, EXPIRY_S) == ()
    assert (len(kept), kept.keys) == (0, 0)


def test_a_renewed_record_lives_on() -> None:
    kept = made()
    kept.add(KEY, A, 0.0)
    kept.add(KEY, B, 1.0)
    kept.add(KEY, A, 1000.0)
    assert len(kept) == 2
    assert kept.sample(KEY, 50, EXPIRY_S + 1) == (A,)


def test_what_nobody_asks_for_expires_too() -> None:
    kept = made()
    kept.add(KEY, A, 0.0)
    kept.add(OTHER, A, 100.0)
    kept.expire_all(EXPIRY_S)
    assert (len(kept), kept.keys) == (1, 1)


def test_a_sample_is_random_and_without_repetition() -> None:
    kept = made()
    for number in range(200):
        kept.add(KEY, (host(number), 7301), 0.0)
    one, other = kept.sample(KEY, 50, 1.0), kept.sample(KEY, 50, 1.0)
    assert len(set(one)) == len(set(other)) == 50
    assert set(one) != set(other)


def test_of_too_many_providers_the_newest_are_kept() -> None:
    kept = made()
    for number in range(KEY_PROVIDERS_MAX + 1):
        assert kept.add(KEY, (host(number), 7301), 0.0)
    named = kept.sample(KEY, KEY_PROVIDERS_MAX + 1, 1.0)
    assert len(kept) == len(named) == KEY_PROVIDERS_MAX
    assert (host(0), 7301) not in named
    assert (host(KEY_PROVIDERS_MAX), 7301) in named


def test_one_host_cannot_push_the_others_out() -> None:
    kept = made()
    kept.add(KEY, A, 0.0)
    taken = [kept.add(KEY, ("10.9.9.9", port), 1.0) for port in range(1, 2000)]
    assert taken.count(True) == HOST_PROVIDERS_MAX
    assert A in kept.sample(KEY, KEY_PROVIDERS_MAX, 2.0)
    assert kept.add(KEY, ("10.9.9.9", 1), 2.0), "its own records may be renewed"


def test_a_full_node_refuses_until_records_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "PROVIDERS_MAX", 3)
    kept = made()
    assert all(kept.add(Key(number), A, 0.0) for number in range(3))
    assert not kept.add(Key(3), A, 1.0)
    assert kept.add(Key(0), A, 1.0), "renewing takes no place"
    kept.expire_all(EXPIRY_S)
    assert kept.add(Key(3), A, EXPIRY_S)


def test_a_token_opens_for_its_own_host_alone() -> None:
    kept = made()
    token = kept.token("10.0.0.1", 0.0)
    assert kept.proves(token, "10.0.0.1", 0.0)
    assert not kept.proves(token, "10.0.0.2", 0.0)
    assert not kept.proves(b"", "10.0.0.1", 0.0)
    assert not kept.proves(token + b"x", "10.0.0.1", 0.0)


@pytest.mark.parametrize(
    ("given_s", "shown_s", "valid"),
    [(0.0, 299.0, True), (0.0, 599.0, True), (299.0, 599.0, True), (0.0, 600.0, False)],
)
def test_a_token_is_good_for_five_to_ten_minutes(
    given_s: float, shown_s: float, valid: bool
) -> None:
    kept = made()
    kept.token("10.0.0.9", 0.0)
    token = kept.token("10.0.0.1", given_s)
    kept.token("10.0.0.9", SECRET_S)
    assert kept.proves(token, "10.0.0.1", shown_s) is valid


def test_two_nodes_give_different_tokens() -> None:
    one, other = Providers(random.Random(1)), Providers(random.Random(2))
    assert one.token("10.0.0.1", 0.0) != other.token("10.0.0.1", 0.0)
