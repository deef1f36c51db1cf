"""Every error strew raises across a border, sorted by whose fault it is.

Three branches, one per culprit: `CallerError` (what was asked for is wrong), `PeerError` (another
machine misbehaved or is absent) and `OperatorError` (this machine or its set-up stands in the way).
A foreign exception (OSError, sqlite3.Error, msgspec.ValidationError) is translated into one of
these where it enters a room; none of them crosses a border as itself.

Each class carries the `code` that `--json` prints and the `exit_code` that a command ends with.
"""

from typing import ClassVar


class StrewError(Exception):
    """The root: a one-line `message` (input, rule) and a one-line `hint` (remedy, may be empty)."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class CallerError(StrewError):
    """Whoever called must change the request; asking again unchanged fails again."""


class UsageError(CallerError):
    """An argument, path or reference breaks a rule."""

    code = "usage"
    exit_code = 2


class NotFoundError(CallerError):
    """What was named does not exist here."""

    code = "not-found"
    exit_code = 3


class ConfigurationError(CallerError):
    """A setting is unknown, out of its range, or contradicts another."""

    code = "configuration"
    exit_code = 9


class InputChangedError(CallerError):
    """A file was written to while it was being read."""

    code = "changed"
    exit_code = 1


class PeerError(StrewError):
    """Another machine is at fault; a different one may do better."""


class IntegrityError(PeerError):
    """Bytes do not match their digest, or a manifest breaks its own rules."""

    code = "integrity"
    exit_code = 4


class ProtocolError(PeerError):
    """A message is malformed, over a limit, or out of turn."""

    code = "protocol"
    exit_code = 1


class UnavailableError(PeerError):
    """Nobody who could answer is reachable now; trying later may work."""

    code = "unavailable"
    exit_code = 5


class DeniedError(PeerError):
    """The other side refused our proof or our role."""

    code = "denied"
    exit_code = 6


class OperatorError(StrewError):
    """This machine or its set-up prevents the work; a person has to act."""


class DiskError(OperatorError):
    """Full, read-only, over quota, failing, or out of descriptors."""

    code = "disk"
    exit_code = 7


class PartialError(OperatorError):
    """Some machines of a fleet did it, others failed."""

    code = "partial"
    exit_code = 8


class DeadlineExceededError(OperatorError):
    """The time given by the caller ran out."""

    code = "deadline"
    exit_code = 10
