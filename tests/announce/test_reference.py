"""The patterns a node follows."""

import pytest

from strew.announce.reference import follower_of, follows, name_of, parse_pattern
from strew.errors import UsageError


@pytest.mark.parametrize(
    ("pattern", "reference", "matches"),
    [
        ("app:*", "app:v1", True),
        ("app", "app:v1", True),
        ("app:v1", "app:v2", False),
        ("*", "team/app:v1", True),
        ("team/*:v?", "team/app:v1", True),
        ("team/*", "other/app:v1", False),
        ("app:v[12]", "app:v3", False),
        ("APP:*", "app:v1", False),
        ("a*a*a*a*a*a*a*a*a*a*b:*", "a" * 120 + ":v1", False),
    ],
)
def test_patterns_match_references(pattern: str, reference: str, matches: bool) -> None:
    assert follows([parse_pattern(pattern)], reference) is matches
    assert follows([pattern], reference) is matches


def test_nothing_is_followed_without_patterns() -> None:
    assert not follows([], "app:v1")


@pytest.mark.parametrize("text", ["", "a b", "a:b:c", "ä:*", "x" * 300, "a\n:*"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="pattern"):
        parse_pattern(text)


def test_followers_are_those_of_any_of_the_names() -> None:
    is_follower = follower_of(["app:v1", "app:v2", "base:v1"])
    for _ in range(2):  # the second time it is known
        assert is_follower(("base:*",)) and is_follower(("none:*", "app:v2"))
        assert not is_follower(("app:v3",)) and not is_follower(())
    assert not follower_of([])(("*:*",))


def test_versions_have_their_name_in_common() -> None:
    assert name_of("team/app:1.0") == name_of("team/app:2") == "team/app"
    assert name_of("none") == "none"
