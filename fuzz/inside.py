"""The process that fuzzes one target: `python -m fuzz.inside TARGET`, then libFuzzer's words.

Started by fuzz.__main__. Only strew's own modules are instrumented, so they must be imported here
for the first time; all of Python would take most of a minute.
"""

import sys

import atheris

INPUT_BYTES_MAX = 4096
"""Longest input that is tried: rules about more are cheaper to test by hand."""

INPUT_S_MAX = 10
"""An input that takes longer is a finding: every reader is to be quick about whatever comes."""


def main(name: str, flags: list[str]) -> None:
    """Hand this process over to the fuzzer; does not return."""
    with atheris.instrument_imports(include=["strew"]):
        from fuzz.targets import TARGETS
    limits = [f"-max_len={INPUT_BYTES_MAX}", f"-timeout={INPUT_S_MAX}"]
    atheris.Setup([sys.argv[0], *limits, *flags], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
