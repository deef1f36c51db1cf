import pytest

from strew.content.paths import broken_link_rule, broken_name_rule, broken_path_rule, folded


@pytest.mark.parametrize(
    "path",
    ["a", "a/b", ".hidden", "a b", "-x", "caf\u00e9", "\u65e5\u672c/\u8a9e", "x" * 255, "..."],
)
def test_good_paths(path: str) -> None:
    assert broken_path_rule(path) == ""


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/abs", "relative"),
        ("../x", "'..'"),
        ("a/../b", "'..'"),
        ("a//b", "empty"),
        ("a/", "empty"),
        ("", "empty"),
        (".", "'.'"),
        ("a\\b", "control"),
        ("a\x00b", "control"),
        ("a\nb", "control"),
        ("a\x85\u00e9", "control"),
        ("a\u202eb", "direction"),
        ("a\u2066b", "direction"),
        ("a\u200fb", "direction"),
        ("\udcff", "UTF-8"),
        ("cafe\u0301", "form C"),
        ("x" * 256, "255 bytes"),
        ("\u00e9" * 128, "255 bytes"),
        ("/".join(["d" * 100] * 11), "1024 bytes"),
        ("/".join("d" * 33), "32 components"),
    ],
)
def test_bad_paths_name_their_rule(path: str, rule: str) -> None:
    assert rule in broken_path_rule(path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "a\tb", "x" * 256])
def test_bad_names(name: str) -> None:
    assert broken_name_rule(name) != ""


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("l", "a"),
        ("l", "./a"),
        ("l", "a/b"),
        ("d/l", ".."),
        ("d/l", "../a/b"),
        ("d/e/l", "../../x"),
    ],
)
def test_links_that_stay_inside(path: str, target: str) -> None:
    assert broken_link_rule(path, target) == ""


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("l", ""),
        ("l", "/etc/passwd"),
        ("l", ".."),
        ("l", "../a"),
        ("d/l", "../.."),
        ("l", "a/../b"),
        ("l", "./../b"),
        ("l", "a//b"),
        ("l", "a\nb"),
        ("l", "x/" * 600 + "x"),
    ],
)
def test_links_that_might_leave(path: str, target: str) -> None:
    assert broken_link_rule(path, target) != ""


def test_folding() -> None:
    assert folded("README") == folded("ReadMe")
    assert folded("Stra\u00dfe") == folded("STRASSE")
    assert folded("a") != folded("b")
