"""Log lines on stderr, for people or as JSON; a command that runs for one transfer hardly logs."""

import logging
import sys
from typing import Any

import structlog

from strew.agent.config import Configuration, Source
from strew.cli.output import wants_colour, write

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class _Stderr:
    """Where lines go; a reader that went away is no reason to stop."""

    def msg(self, message: str) -> None:
        write(sys.stderr, message + "\n")

    debug = info = warning = error = critical = exception = log = msg


def configure_logs(configuration: Configuration, *, quiet: bool = False) -> None:
    """Write lines of the configured level and form.

    With `quiet`, for commands that speak for themselves, only if a level was asked for.
    """
    settings = configuration.settings
    asked = configuration.origins["log_level"].source is not Source.DEFAULT
    level = _LEVELS[settings.log_level] if asked or not quiet else logging.CRITICAL
    render: Any = structlog.processors.JSONRenderer()
    if settings.log_format == "text":
        render = structlog.dev.ConsoleRenderer(
            colors=wants_colour(sys.stderr),
            pad_event_to=0,
            exception_formatter=structlog.dev.plain_traceback,
        )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if settings.log_format == "json" else []),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Stderr(),
        cache_logger_on_first_use=True,
    )
