"""`strew completion`: the script with which a shell completes commands and flags."""

import os
from pathlib import PurePath
from typing import Literal, get_args

from strew.cli.call import command_app, root_app
from strew.cli.main import COMMANDS
from strew.cli.output import Output
from strew.errors import UsageError

Shell = Literal["bash", "zsh", "fish"]

app = command_app("completion", "Print the script that completes strew's commands in a shell.")

_INSTALL: dict[Shell, str] = {
    "bash": 'add to ~/.bashrc:  eval "$(strew completion bash)"',
    "zsh": "write to a folder of $fpath:  strew completion zsh > ~/.zfunc/_strew",
    "fish": "install:  strew completion fish > ~/.config/fish/completions/strew.fish",
}


@app.default
def completion(shell: Shell | None = None, /, *, out: Output = Output()) -> None:
    """Print the script that completes strew's commands and flags; the shell is $SHELL's if not
    named.
    """
    chosen = shell or _shell_of(os.environ.get("SHELL", ""))
    script = root_app(COMMANDS.values()).generate_completion(prog_name="strew", shell=chosen)
    out.line(script.rstrip("\n"))
    out.note(_INSTALL[chosen])
    out.result(shell=chosen, script=script)


def _shell_of(path: str) -> Shell:
    for shell in get_args(Shell):
        if PurePath(path).name == shell:
            return shell  # type: ignore[no-any-return]  # get_args() is typed as Any
    raise UsageError("cannot tell which shell this is", hint="name it: strew completion bash")
