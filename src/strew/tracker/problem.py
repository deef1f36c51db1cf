"""Errors on HTTP: problem+json (RFC 9457) with strew's code and hint, both ways."""

import msgspec

from strew.announce.decision import Refused
from strew.announce.protocol import decoded
from strew.errors import (
    ConfigurationError,
    DeniedError,
    DiskError,
    InputChangedError,
    IntegrityError,
    NotFoundError,
    ProtocolError,
    StrewError,
    UnavailableError,
    UsageError,
)

CONTENT_TYPE = "application/problem+json"

DETAIL_CHARS_MAX = 500
"""What is kept of a text that came from outside."""

_STATUS: tuple[tuple[type[StrewError], int], ...] = (
    (UsageError, 400),
    (NotFoundError, 404),
    (InputChangedError, 409),
    (IntegrityError, 422),
    (ProtocolError, 400),
    (UnavailableError, 503),
    (DeniedError, 403),
    (DiskError, 507),
)

_BY_CODE: dict[str, type[StrewError]] = {
    kind.code: kind
    for kind in (
        UsageError,
        NotFoundError,
        ConfigurationError,
        InputChangedError,
        IntegrityError,
        ProtocolError,
        UnavailableError,
        DeniedError,
        DiskError,
    )
}

_BY_STATUS: dict[int, type[StrewError]] = {
    400: ProtocolError,
    401: DeniedError,
    403: DeniedError,
    404: NotFoundError,
    409: UnavailableError,
    422: IntegrityError,
}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an error answer."""

    type: str
    title: str
    status: int
    detail: str
    code: str = ""
    hint: str = ""


_decoder = msgspec.json.Decoder(Problem)


class Refusal(Exception):
    """Ends a handler with this answer; never leaves this room."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        hint: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.hint = hint
        self.headers = headers or {}


def refusal_of_error(error: StrewError) -> Refusal:
    """How an error of strew's tree is answered."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return Refusal(status, error.code, error.message, error.hint)


def refusal_of_decision(refused: Refused) -> Refusal:
    """How a decision against a request is answered."""
    status, code = {
        "limited": (429, UnavailableError.code),
        "denied": (403, DeniedError.code),
        "conflict": (409, UnavailableError.code),
        "invalid": (400, ProtocolError.code),
    }[refused.kind]
    headers = {}
    if refused.retry_after_s > 0:
        headers["Retry-After"] = str(max(1, round(refused.retry_after_s)))
    return Refusal(status, code, refused.message, refused.hint, headers)


def error_of_answer(status: int, body: bytes, *, whence: str) -> StrewError:
    """The error that an answer of `status` means to whoever asked; for the client.

    A body that is no problem+json counts by its status alone: its text is not ours.
    """
    fallback = _BY_STATUS.get(status, UnavailableError if status >= 429 else ProtocolError)
    try:
        problem = decoded(body, _decoder, "problem")
    except ProtocolError:
        return fallback(f"{whence} answered {status}")
    kind = _BY_CODE.get(problem.code, fallback)
    return kind(_line(f"{whence}: {problem.detail}"), hint=_line(problem.hint))


def _line(text: str) -> str:
    """A text from outside as one printable line of bounded length."""
    return "".join(c if c.isprintable() else " " for c in text[:DETAIL_CHARS_MAX])
