"""The promises about the shape of the code that no other tool of `make test` checks."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "strew"

FILE_MAX_LINES = 500
"""What one reads in one sitting; a longer module says more than one thing."""

FUNCTION_MAX_LINES = 80
"""70 fit on a screen; the rest is for a long docstring."""

NAMES_FORBIDDEN = {"util", "utils", "helper", "helpers", "common", "manager", "base", "misc"}
"""A thing without a name of the field has not been understood yet."""

CORES = (
    "errors",
    "content",
    "fleet",
    "messages",
    "publication",
    "trust",
    "telemetry",
    "swarm",
    "announce",
    "gossip",
    "dht",
    "node",
    "codec",
    "access",
)
"""Rooms above the IO line: clock and dice are passed in (docs/ARCHITECTURE.md)."""

CLOCKS = {"now", "utcnow", "today"}
DICE_ALLOWED = {"Random"}

MODULES = sorted(SOURCE.rglob("*.py"))
CORE_MODULES = [
    path for path in MODULES if path.relative_to(SOURCE).parts[0].split(".")[0] in CORES
]


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def breaches_of_purity(tree: ast.Module) -> Iterator[str]:
    """Every use of a clock, or of dice that were not passed in."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr=name):
                yield f"{node.lineno}: time.{name}"
            case ast.Attribute(value=ast.Name(id="random"), attr=name) if name not in DICE_ALLOWED:
                yield f"{node.lineno}: random.{name}"
            case ast.Attribute(value=ast.Name(id="datetime" | "date"), attr=name) if name in CLOCKS:
                yield f"{node.lineno}: datetime.{name}"
            case ast.ImportFrom(module="random", names=names):
                for alias in names:
                    if alias.name not in DICE_ALLOWED:
                        yield f"{node.lineno}: from random import {alias.name}"
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                source = getattr(node, "module", None)
                for alias in names:
                    if (source or alias.name) in ("time", "uuid", "secrets"):
                        yield f"{node.lineno}: {source or alias.name}"
            case ast.Call(func=ast.Attribute(attr="Random"), args=[]):
                yield f"{node.lineno}: Random() without a seed"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= FILE_MAX_LINES


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    long = [
        f"{node.name}: {(node.end_lineno or 0) - node.lineno + 1} lines"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_MAX_LINES
    ]
    assert not long


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_has_a_name_of_the_field(path: Path) -> None:
    words = {
        word for part in path.relative_to(SOURCE).with_suffix("").parts for word in part.split("_")
    }
    assert not words & NAMES_FORBIDDEN


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree_of(path)), "no docstring"


@pytest.mark.parametrize("path", CORE_MODULES, ids=name_of)
def test_a_core_reads_no_clock_and_throws_no_dice(path: Path) -> None:
    assert not list(breaches_of_purity(tree_of(path)))


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from time import monotonic",
        "time.monotonic()",
        "random.random()",
        "from random import choice",
        "random.Random()",
        "datetime.now()",
        "import uuid",
    ],
)
def test_the_check_of_purity_sees_each_breach(source: str) -> None:
    assert list(breaches_of_purity(ast.parse(source)))


@pytest.mark.parametrize("source", ["import random", "def f(dice: random.Random): dice.random()"])
def test_the_check_of_purity_lets_passed_in_dice_be(source: str) -> None:
    assert not list(breaches_of_purity(ast.parse(source)))


def test_the_repository_names_no_machine() -> None:
    """No absolute path of the machine it was written on."""
    listed = [*MODULES, *sorted((ROOT / "tests").rglob("*.py")), *sorted(ROOT.glob("docs/**/*.md"))]
    own = Path.home().as_posix() + "/"
    assert not [path for path in listed if own != "//" and own in path.read_text()]
