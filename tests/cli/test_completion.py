"""The completion scripts know the commands and flags there are."""

import pytest

from strew.cli.call import root_app
from strew.cli.completion import _shell_of
from strew.cli.main import COMMANDS, main
from strew.errors import UsageError

OWN = [COMMANDS[name] for name in ("config", "completion", "doctor")]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_has_commands_and_flags(shell: str) -> None:
    script = root_app(OWN).generate_completion(prog_name="strew", shell=shell)  # type: ignore[arg-type]
    assert "doctor" in script and "explain" in script
    assert "rate-up" in script


def test_the_shell_is_known_from_its_path() -> None:
    assert _shell_of("/usr/bin/zsh") == "zsh"
    with pytest.raises(UsageError, match="name it"):
        _shell_of("/bin/tcsh")


def test_an_unknown_shell_is_a_usage_error() -> None:
    assert main(["completion", "tcsh"]) == 2
