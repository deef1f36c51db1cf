"""Tokens: their form, what is kept of them, their end."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from strew.access import tokens as tokens_module
from strew.access.tokens import (
    DAY_S,
    ENDED_KEPT_S,
    HOUR_S,
    LIFE_S,
    TOKENS_MAX,
    Fault,
    Grant,
    Tokens,
    id_of,
    is_token,
    parse_token,
    verifier_of,
)
from strew.errors import DeniedError, NotFoundError, UsageError
from strew.fleet import TOKEN_CHARS_MAX, FleetKey, Role

NOW = 1_800_000_000.0


@pytest.fixture
def dice() -> Callable[[], bytes]:
    numbers = itertools.count()
    return lambda: next(numbers).to_bytes(8, "big") + bytes(range(32))


def test_a_token_is_id_and_secret_and_only_an_hmac_of_it_is_kept(
    dice: Callable[[], bytes],
) -> None:
    tokens = Tokens()
    record, text = tokens.make("publish", NOW, dice())
    assert is_token(text) and id_of(text) == record.id and len(text) <= TOKEN_CHARS_MAX
    assert text.partition(".")[2] not in repr(record)
    assert record.verifier == verifier_of(text) and len(record.verifier) == 32
    assert tokens.check(text, NOW) == Grant(Role.PUBLISH, record.id)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text.upper(),
        lambda text: text[:17] + "A" * 43,
        lambda text: "0" * 15 + "9" + text[16:],
        lambda text: "é" * 60,
        lambda text: text.replace(".", ":"),
    ],
)
def test_what_is_not_exactly_the_token_is_nothing(
    dice: Callable[[], bytes], change: Callable[[str], str]
) -> None:
    tokens = Tokens()
    _, text = tokens.make("admin", NOW, dice())
    assert tokens.check(change(text), NOW) is Fault.UNKNOWN


def test_no_token_looks_like_one_of_the_fleet_key() -> None:
    key = FleetKey(bytes(32))
    for text in (key.viewer_token(), key.node_token(), key.publish_token(), key.text):
        assert not is_token(text)
    assert key.role_of("0" * 16 + "." + "A" * 43) is None


@pytest.mark.parametrize("role", LIFE_S)
def test_a_token_ends_by_itself(dice: Callable[[], bytes], role: tokens_module.TokenRole) -> None:
    tokens = Tokens()
    record, text = tokens.make(role, NOW, dice())
    assert record.state(NOW + LIFE_S[role] - 1) == "live"
    assert record.state(NOW + LIFE_S[role]) == "expired"
    if role != "join":
        assert tokens.check(text, NOW + LIFE_S[role]) is Fault.EXPIRED


def test_a_join_token_lives_an_hour_and_is_no_bearer(dice: Callable[[], bytes]) -> None:
    assert LIFE_S["join"] == HOUR_S
    tokens = Tokens()
    _, text = tokens.make("join", NOW, dice())
    assert tokens.check(text, NOW) is Fault.UNKNOWN


def test_a_join_token_is_good_once(dice: Callable[[], bytes]) -> None:
    tokens = Tokens()
    record, _ = tokens.make("join", NOW, dice())
    tokens.use(record.id, NOW + 1, "10.0.0.9")
    used = tokens.record(record.id)
    assert used is not None
    assert (used.state(NOW + 1), used.used_from) == ("used", "10.0.0.9")
    with pytest.raises(AssertionError):
        tokens.use(record.id, NOW + 2, "10.0.0.9")


def test_revoking_ends_it_at_once_and_only_its_holder_is_told_why(
    dice: Callable[[], bytes],
) -> None:
    tokens = Tokens()
    record, text = tokens.make("publish", NOW, dice())
    assert tokens.revoke(record.id, NOW + 5).revoked_s == NOW + 5
    assert tokens.revoke(record.id, NOW + 9).revoked_s == NOW + 5, "once more changes nothing"
    assert tokens.check(text, NOW + 9) is Fault.REVOKED
    assert tokens.check(text[:17] + "A" * 43, NOW + 9) is Fault.UNKNOWN
    with pytest.raises(NotFoundError, match="no token"):
        tokens.revoke("f" * 16, NOW)


@pytest.mark.parametrize(
    ("scope", "reference", "may"),
    [
        ("", "anything:1", True),
        ("app:*", "app:1", True),
        ("app", "app:1", True),
        ("app:*", "app2:1", False),
        ("app:*", "team/app:1", False),
        ("team/*:stable", "team/app:stable", True),
        ("team/*:stable", "team/app:beta", False),
    ],
)
def test_a_scope_is_a_pattern_of_names(
    dice: Callable[[], bytes], scope: str, reference: str, may: bool
) -> None:
    tokens = Tokens()
    _, text = tokens.make("publish", NOW, dice(), scope=scope)
    grant = tokens.check(text, NOW)
    assert isinstance(grant, Grant) and grant.may_name(reference) is may


def test_wishes_that_break_a_rule_are_refused(dice: Callable[[], bytes]) -> None:
    tokens = Tokens()
    with pytest.raises(UsageError, match="no scope"):
        tokens.make("admin", NOW, dice(), scope="app:*")
    with pytest.raises(UsageError, match="pattern"):
        tokens.make("publish", NOW, dice(), scope="a b")
    with pytest.raises(UsageError, match="at most 7 days"):
        tokens.make("join", NOW, dice(), life_s=8 * DAY_S)
    with pytest.raises(UsageError, match="at most 366 days"):
        tokens.make("read", NOW, dice(), life_s=400 * DAY_S)
    assert tokens.records() == []


def test_ended_ones_are_forgotten_after_a_week_and_make_room(
    dice: Callable[[], bytes],
) -> None:
    tokens = Tokens()
    for _ in range(TOKENS_MAX):
        tokens.make("join", NOW, dice())
    with pytest.raises(DeniedError, match="not more"):
        tokens.make("read", NOW, dice())
    later = NOW + HOUR_S + ENDED_KEPT_S + 1
    record, _ = tokens.make("read", later, dice())
    assert tokens.records() == [record]


def test_a_token_without_end_is_never_forgotten(dice: Callable[[], bytes]) -> None:
    tokens = Tokens()
    record, text = tokens.make("admin", NOW, dice(), life_s=0.0)
    tokens.forget(NOW + 1e9)
    assert tokens.records() == [record]
    assert isinstance(tokens.check(text, NOW + 1e9), Grant)


def test_a_users_text_is_trimmed_and_never_repeated() -> None:
    text = "0" * 16 + "." + "A" * 43
    assert parse_token(f" {text}\n") == text
    with pytest.raises(UsageError) as caught:
        parse_token("my-secret-password")
    assert "password" not in str(caught.value)
