"""What a command says: results on stdout, everything else on stderr, all of it as JSON on request.

One `Output` per run. With `--json` stdout carries newline-delimited objects, the last of which is
the only one of type `result` or `error`; without it stdout carries data for people and pipes.
Progress is strew.cli.progress's; nothing heavy is imported here.
"""

import json as json_text
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TextIO

from cyclopts import Parameter

from strew.cli.progress import Progress
from strew.errors import StrewError

PROGRAM = "strew"


@Parameter(name="*", group="Output")
@dataclass(kw_only=True, slots=True)
class Output:
    """The flags every command has, and the only way for a command to speak."""

    json: Annotated[
        bool,
        Parameter(
            name="--json",
            negative="",
            env_var="STREW_JSON",
            show_default=False,
            help="Results and events as one JSON object a line.",
        ),
    ] = False
    quiet: Annotated[
        bool,
        Parameter(
            name=["--quiet", "-q"],
            negative="",
            env_var="STREW_QUIET",
            show_default=False,
            help="No progress, only results and errors.",
        ),
    ] = False
    finished: Annotated[bool, Parameter(parse=False)] = field(default=False, init=False)

    def event(self, kind: str, **fields: Any) -> None:
        """Something that happened on the way; only seen with --json."""
        assert kind not in ("result", "error"), "those end a run, see result() and error()"
        if self.json and not self.finished:
            self._write_json({"type": kind, **fields})

    def line(self, text: str = "") -> None:
        """Data for people or a pipe; not seen with --json, which has its own form of it."""
        if not self.json:
            write(sys.stdout, text + "\n")

    def note(self, text: str) -> None:
        """What helps a person but is no data; not seen with --quiet or --json."""
        if not (self.quiet or self.json):
            write(sys.stderr, text + "\n")

    def warn(self, text: str) -> None:
        """What a person should know and act upon; --quiet does not hide it."""
        if self.json:
            self.event("warning", message=text)
        else:
            write(sys.stderr, f"{PROGRAM}: warning: {text}\n")

    def result(self, **fields: Any) -> None:
        """The one final object of a run that worked; must be called at most once."""
        assert not self.finished, "a run has exactly one result"
        if self.json:
            self._write_json({"type": "result", **fields})
        self.finished = True

    def error(self, code: str, message: str, hint: str = "") -> None:
        """The one final object, or line, of a run that failed; ignored after a result."""
        if self.json:
            if not self.finished:
                error = {"type": "error", "code": code, "message": one_line(message)}
                self._write_json({**error, "hint": one_line(hint)})
        else:
            remedy = f" ({one_line(hint)})" if hint else ""
            write(sys.stderr, f"{PROGRAM}: {one_line(message)}{remedy}\n")
        self.finished = True

    def failure(self, error: StrewError) -> None:
        """error() of one of strew's own."""
        self.error(error.code, error.message, error.hint)

    def progress(self) -> Progress:
        """The live lines of this run; events of type `progress` with --json."""
        if self.json:
            return Progress(on_event=lambda fields: self.event("progress", **fields))
        return Progress(stream=None if self.quiet else sys.stderr)

    def _write_json(self, fields: Mapping[str, Any]) -> None:
        # ASCII only: the same bytes in every locale, and file names that are not UTF-8 survive
        write(sys.stdout, json_text.dumps(fields, separators=(",", ":")) + "\n")


def write(stream: TextIO, text: str) -> None:
    """Write at once: who reads a pipe must not wait for a buffer to fill.

    A closed stderr is no reason to stop a transfer; a closed stdout raises BrokenPipeError, which
    the entry point turns into a quiet end.
    """
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        if stream is sys.stdout:
            raise


def one_line(text: str) -> str:
    """Errors are one line, whatever a foreign message contains; control characters are shown."""
    flat = " ".join(text.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in flat)


def wants_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether to colour: a terminal, and nobody who set NO_COLOR (no-color.org) to anything."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def table(rows: list[tuple[str, ...]], *, right: frozenset[int] = frozenset()) -> list[str]:
    """Lines of a plain table, the first row its head; columns in `right` are aligned right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(widths[column]) if column in right else cell.ljust(widths[column])
            for column, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]
