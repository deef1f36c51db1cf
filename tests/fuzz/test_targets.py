"""Every kept input and every seed, through its target, without a fuzzer; and the fuzzer itself."""

import platform
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.__main__ import CORPUS, KEPT_BYTES_MAX, KEPT_MAX, kept
from fuzz.seeds import seeds
from fuzz.targets import TARGETS

ROOT = CORPUS.parents[1]
SEEDS = seeds()


@pytest.mark.parametrize("name", TARGETS)
def test_an_input_that_was_kept_still_breaks_nothing(name: str) -> None:
    inputs = {str(path): path.read_bytes() for path in kept(name)}
    inputs |= {f"seed {number}": seed for number, seed in enumerate(SEEDS[name])}
    for where, data in inputs.items():
        try:
            TARGETS[name](data)
        except Exception as error:
            error.add_note(f"by {where}")
            raise


def damaged(name: str) -> st.SearchStrategy[bytes]:
    """A seed of a target with some pieces of it replaced, left out, doubled or put in between."""
    piece = st.tuples(st.floats(0, 1), st.integers(0, 8), st.binary(max_size=8))

    def damage(seed: bytes, pieces: list[tuple[float, int, bytes]]) -> bytes:
        for place, length, put in pieces:
            at = int(place * len(seed))
            seed = seed[:at] + put + seed[at + length :]
        return seed

    return st.builds(damage, st.sampled_from(SEEDS[name]), st.lists(piece, max_size=4))


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
def test_no_damage_to_a_seed_breaks_a_target(name: str, data: st.DataObject) -> None:
    TARGETS[name](data.draw(damaged(name) | st.binary(max_size=64)))


def test_every_target_has_seeds_and_a_small_corpus() -> None:
    assert SEEDS.keys() == TARGETS.keys() == {path.name for path in CORPUS.iterdir()}
    for name in TARGETS:
        assert 0 < len(kept(name)) <= KEPT_MAX and SEEDS[name]
        assert all(path.stat().st_size <= KEPT_BYTES_MAX for path in kept(name))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="atheris has no package for others")
def test_the_fuzzer_runs_a_target_for_as_long_as_it_is_told() -> None:
    words = (sys.executable, "-m", "fuzz", "ranges", "--seconds", "1")
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("ranges: Done ")
