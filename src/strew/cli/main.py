"""The entry point: finds the command, imports its module, turns every failure into an exit code.

**Invariant: nothing heavy is imported here.** `strew --help` and `--version` answer from this
module alone; cyclopts and the room of a command are imported when that command runs. Each command
is a module strew.cli.<name> with an `app` (cyclopts.App) whose functions take an `out: Output`.

Exit codes: 0 ok, 1 other, 2 usage, 3 not found, 4 integrity, 5 temporary, 6 denied, 7 disk,
8 partial, 9 configuration, 10 deadline exceeded, 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from strew import __version__

if TYPE_CHECKING:
    from strew.cli.output import Output

EXIT_OK = 0
EXIT_OTHER = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells count it."""


class Command(NamedTuple):
    """One row of the help page; the module is strew.cli.<module>."""

    name: str
    module: str
    summary: str


GROUPS: dict[str, tuple[Command, ...]] = {
    "Try it": (
        Command("demo", "demo", "spread a file over real processes on this machine, and compare"),
        Command("lab", "lab", "the same over shaped links, with rivals beside it (root)"),
        Command("sim", "sim", "the same in a virtual network: a thousand machines, and worse days"),
    ),
    "Run a fleet": (
        Command("serve", "serve", "tracker and origin in one process; prints how to join"),
        Command("node", "node", "the agent of a machine: fetches what it follows, serves it on"),
    ),
    "Move files": (
        Command("push", "push", "publish a file or a folder"),
        Command("get", "get", "fetch an artifact; run again to resume or repair"),
        Command("verify", "verify", "check installed files against their manifest"),
        Command("gc", "gc", "show and drop what the store need not keep"),
    ),
    "Look": (
        Command("ls", "ls", "list what is known"),
        Command("show", "show", "what an artifact consists of"),
        Command("status", "status", "who has how much, and who lags behind"),
        Command("top", "top", "transfers, machines and their map on a whole terminal"),
    ),
    "Set up": (
        Command("key", "key", "keys that sign names, whom to believe; certificates"),
        Command("doctor", "doctor", "can this machine take part?"),
        Command("token", "token", "who may publish, look and join: make, list and revoke tokens"),
        Command("config", "config", "settings, and where each value comes from"),
        Command("completion", "completion", "completion for bash, zsh and fish"),
    ),
}

COMMANDS: dict[str, Command] = {
    command.name: command for group in GROUPS.values() for command in group
}

_FLAGS_ANYWHERE = ("--json", "--quiet", "-q")
_TRUE_WORDS = frozenset({"1", "true", "yes", "on"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; gives the exit code and never raises."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    _make_streams_safe()
    try:
        return _dispatch(tokens)
    except KeyboardInterrupt:
        # Ctrl-C outside of a command's own handling, e.g. while modules are imported
        return EXIT_INTERRUPTED
    except OSError as error:
        # a reader that went away is no news; a full disk behind `> file` is
        if not isinstance(error, BrokenPipeError):
            sys.stderr.write(f"strew: standard output: {error.strerror}\n")
        _silence_stdout()
        return EXIT_OTHER


def help_text() -> str:
    """The page of `strew --help`."""
    width = max(len(name) for name in COMMANDS) + 2
    lines = [
        "strew: spreads large files from one machine to thousands, peer to peer",
        "",
        "Usage: strew COMMAND [ARGUMENTS] [--json] [--quiet]",
    ]
    for title, commands in GROUPS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {command.name:<{width}}{command.summary}" for command in commands]
    lines += [
        "",
        "  strew COMMAND --help  says more about one      strew --version",
        "",
        "A reference is NAME:TAG, an artifact id (blake3:...) or strew://HOST:PORT/NAME:TAG.",
        "Every flag has a variable STREW_...; flag beats variable beats file beats default.",
    ]
    return "\n".join(lines)


def _dispatch(tokens: list[str]) -> int:
    """Find the command; the flags every command has may also stand before it."""
    count = 0
    while count < len(tokens) and tokens[count] in _FLAGS_ANYWHERE:
        count += 1
    before, rest = tokens[:count], tokens[count:]
    if len(rest) == 2 and rest[0] == "help":
        rest = [rest[1], "--help"]
    if not rest:
        sys.stderr.write(help_text() + "\n")
        return EXIT_USAGE
    word = rest[0]
    if word in ("--help", "-h", "help"):
        return _print(help_text())
    if word in ("--version", "-V", "version"):
        return _print(f"strew {__version__}")
    if word not in COMMANDS:
        return _unknown(word, tokens)
    # behind the words, as the first of them may name a subcommand, and before what -- ends
    end = rest.index("--") if "--" in rest else len(rest)
    return _run(COMMANDS[word], [*rest[1:end], *before, *rest[end:]])


def _print(text: str) -> int:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    return EXIT_OK


def _unknown(word: str, tokens: list[str]) -> int:
    import difflib

    near = difflib.get_close_matches(word, COMMANDS, n=1)
    what = "flag" if word.startswith("-") else "command"
    hint = f"did you mean 'strew {near[0]}'?" if near else "'strew --help' lists all commands"
    _early_output(tokens).error("usage", f"unknown {what} {word[:80]!r}", hint)
    return EXIT_USAGE


def _run(command: Command, tokens: list[str]) -> int:
    """Import, parse, run; every way to fail ends here."""
    from strew.errors import StrewError

    out = _early_output(tokens)
    try:
        from strew.cli.call import call

        return call(command, tokens, out)
    except StrewError as error:
        _show_traceback_if_asked()
        out.failure(error)
        return error.exit_code
    except KeyboardInterrupt:
        out.error("interrupted", "interrupted", "run the same command again to go on")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        code = _os_error(error, out)
        _silence_stdout()  # if it was stdout that failed, its buffer fails again at exit
        return code
    except Exception as error:
        _show_traceback_if_asked()
        out.error(
            "internal",
            f"internal error in 'strew {command.name}': {type(error).__name__}: {error}",
            "a bug: please report it to strew's issue tracker with the output of the same "
            "command under STREW_DEBUG=1",
        )
        return EXIT_OTHER


def _os_error(error: OSError, out: "Output") -> int:
    """The system's refusals that no room translated: still one line with the file's name."""
    import errno

    from strew.errors import DiskError

    _show_traceback_if_asked()
    if isinstance(error, FileNotFoundError) and _folder_is_gone():
        out.error("usage", "the current folder does not exist any more", "change to another one")
        return EXIT_USAGE
    where = f"{os.fsdecode(error.filename)!r}: " if isinstance(error.filename, str | bytes) else ""
    disk = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
    if error.errno in disk:
        out.error(DiskError.code, f"{where}{error.strerror}", "'strew doctor' shows the limits")
        return DiskError.exit_code
    out.error("system", f"{where}{error.strerror or error}", "'strew doctor' may say why")
    return EXIT_OTHER


def _folder_is_gone() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _early_output(tokens: Sequence[str]) -> "Output":
    """How to speak before the command line is understood: an error in it must be JSON too."""
    from strew.cli.output import Output

    flags = tokens[: tokens.index("--")] if "--" in tokens else tokens
    return Output(
        json="--json" in flags or os.environ.get("STREW_JSON", "").lower() in _TRUE_WORDS,
        quiet="--quiet" in flags or "-q" in flags,
    )


def _show_traceback_if_asked() -> None:
    if os.environ.get("STREW_DEBUG"):
        import traceback

        traceback.print_exc()


def _make_streams_safe() -> None:
    """Anything can be printed, also under LANG=C (odd bytes as \\x escapes) and after `>&-`."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # open to the end
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _silence_stdout() -> None:
    """The reader is gone: what the interpreter flushes at exit must not complain about it."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
    except (OSError, ValueError):
        pass  # no stdout at all: then nothing is flushed either


if __name__ == "__main__":
    sys.exit(main())
