"""Calls one command: its module is imported, its arguments are parsed, its result is an exit code.

A command is a function of its module's `app` (made by `command_app`), with the parameter
`out: Output = Output()`, which may be async; the default is only there for cyclopts, the call
always passes the one Output of the run. What it returns is the exit code; None is 0.
"""

import asyncio
import importlib
import inspect
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError, UnknownOptionError, UnusedCliTokensError

from strew.cli.output import Output, one_line
from strew.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strew.cli.main import Command


_SHOWN_MAX_CHARS = 80


def command_app(name: str, about: str) -> App:
    """The App of one command module; `about` is what `strew NAME --help` says first."""
    return App(name=name, help=about, help_flags=["--help", "-h"], version_flags=[])


def root_app(commands: "Iterable[Command]") -> App:
    """`strew` with these commands in it; imports the module of each."""
    root = App(name="strew", help_flags=["--help", "-h"], version_flags=[], help_format="plaintext")
    for command in commands:
        root.command(importlib.import_module(f"strew.cli.{command.module}").app)
    return root


def call(command: "Command", tokens: list[str], out: Output) -> int:
    """Run `command` with the words after its name; `out` learns --json and --quiet.

    Raises UsageError for whatever is wrong with the words, and what the command raises.
    """
    root = root_app([command])
    try:
        function, bound, _ = root.parse_args(
            [command.name, *tokens], exit_on_error=False, print_error=False
        )
    except CycloptsError as error:
        raise _usage_error(error, command) from None
    bound.apply_defaults()
    parsed = [(name, value) for name, value in bound.arguments.items() if type(value) is Output]
    for name, value in parsed:
        out.json, out.quiet = value.json, value.quiet
        bound.arguments[name] = out
    result = function(*bound.args, **bound.kwargs)
    if inspect.iscoroutine(result):
        result = asyncio.run(result)
    is_own = bool(parsed)  # else cyclopts printed the help page
    if is_own and not out.finished and not result:
        out.result()
    return int(result) if isinstance(result, int) else 0


def _usage_error(error: CycloptsError, command: "Command") -> UsageError:
    """cyclopts' complaint as one line with a remedy."""
    text = one_line(str(error)).rstrip(".")
    hint = f"'strew {command.name} --help' shows what it takes"
    if isinstance(error, UnusedCliTokensError):
        text = f"one argument too many: {(error.unused_tokens or [''])[0][:_SHOWN_MAX_CHARS]!r}"
    elif isinstance(error, UnknownOptionError):
        text, _, near = text.partition(" Did you mean ")
        text, hint = text.rstrip("."), f"did you mean {near}" if near else hint
    return UsageError(text, hint=hint)
