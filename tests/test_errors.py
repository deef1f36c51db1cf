"""The error tree: one culprit each, one exit code each."""

import inspect

import pytest

from strew import errors

CONVENTIONS = {
    "UsageError": (2, "usage"),
    "NotFoundError": (3, "not-found"),
    "IntegrityError": (4, "integrity"),
    "UnavailableError": (5, "unavailable"),
    "DeniedError": (6, "denied"),
    "DiskError": (7, "disk"),
    "PartialError": (8, "partial"),
    "ConfigurationError": (9, "configuration"),
    "DeadlineExceededError": (10, "deadline"),
    "InputChangedError": (1, "changed"),
    "ProtocolError": (1, "protocol"),
}
BRANCHES = (errors.CallerError, errors.PeerError, errors.OperatorError)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_exit_codes_are_the_promised_ones(name: str) -> None:
    error_class = getattr(errors, name)
    assert (error_class.exit_code, error_class.code) == CONVENTIONS[name]


@pytest.mark.parametrize("name", CONVENTIONS)
def test_each_error_has_exactly_one_culprit(name: str) -> None:
    error_class = getattr(errors, name)
    assert sum(issubclass(error_class, branch) for branch in BRANCHES) == 1


def test_no_error_class_is_forgotten_here() -> None:
    classes = {
        n for n, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == "strew.errors"
    }
    assert classes == set(CONVENTIONS) | {"StrewError", "CallerError", "PeerError", "OperatorError"}


def test_text_is_message_then_remedy() -> None:
    assert (
        str(errors.DiskError("disk is full", hint="free 3 bytes")) == "disk is full (free 3 bytes)"
    )
    assert str(errors.DiskError("disk is full")) == "disk is full"
    assert errors.DiskError("x", hint="y").hint == "y"
