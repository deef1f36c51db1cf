"""Tokens: what a person or a program shows to publish, to look, or to hand out more of them.

A token's text is `id.secret`. The id is public: it finds the record, and stands in logs and lists.
Of the secret, 256 random bits, only an HMAC is kept (RFC 2104, keyed by the secret itself, over
the id), so that whoever reads the records cannot show the token. Beside the fleet key's own role
tokens, which all its holders have in common and which cannot be taken back, these have one holder
each, an end, and where they publish a scope.

No clock and no dice: `now` is unix time, since records outlive the process; random bytes come in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec

from strew.announce.reference import follows, parse_pattern
from strew.errors import DeniedError, NotFoundError, UsageError
from strew.fleet import Role
from strew.publication import PATTERN_CHARS_MAX

TokenRole = Literal["publish", "admin", "read", "join"]

ROLES: Final[dict[TokenRole, Role]] = {
    "publish": Role.PUBLISH,
    "admin": Role.ADMIN,
    "read": Role.READ,
    "join": Role.JOIN,
}

ID_BYTES = 8
"""Ids need not be secret, only different."""

SECRET_BYTES = 32
"""256 bits: nothing is gained by guessing, so a wrong secret need not be punished."""

TOKEN_TEXT = re.compile(r"([0-9a-f]{16})\.([A-Za-z0-9_-]{43})\Z", re.ASCII)

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S

LIFE_S: Final[dict[TokenRole, float]] = {
    "join": HOUR_S,
    "admin": DAY_S,
    "publish": 30 * DAY_S,
    "read": 365 * DAY_S,
}
"""How long a token lives unless it is said: a join token waits for a machine being set up, an admin
token for a person, the others sit in programs. Lower: they end in the middle of use; higher: one
that was lost is good for longer."""

LIFE_MAX_S = 366 * DAY_S
JOIN_LIFE_MAX_S = 7 * DAY_S
"""A join token gives the fleet key away; more than a week is a key lying about."""

TOKENS_MAX = 1000
"""Records kept: each is some 250 bytes, and the file is written whole. More is a mistake in a
script; 1000 machines join by one key file, or by tokens that are used up as they go."""

ENDED_KEPT_S = 7 * DAY_S
"""How long a record that is used, revoked or expired is still listed, to say what became of it."""

_DOMAIN = b"strew token 1"


class Fault(StrEnum):
    """Why a bearer token is not taken. The last two are told only to who knows its secret."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a credential proved. `by` is a token's id, or `fleet` for one of the fleet key's own."""

    role: Role
    by: str = "fleet"
    scope: str = ""

    def may_name(self, reference: str) -> bool:
        """Whether it may give this NAME:TAG to an artifact."""
        return not self.scope or follows((self.scope,), reference)


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of one token. Times are unix seconds; 0 stands for never."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
    role: TokenRole
    verifier: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    made_s: float
    expires_s: float = 0.0
    scope: Annotated[str, msgspec.Meta(max_length=PATTERN_CHARS_MAX + 2)] = ""
    revoked_s: float = 0.0
    used_s: float = 0.0
    used_from: Annotated[str, msgspec.Meta(max_length=64)] = ""

    def state(self, now: float) -> Literal["live", "used", "revoked", "expired"]:
        """What has become of it."""
        if self.revoked_s:
            return "revoked"
        if self.used_s:
            return "used"
        return "expired" if 0 < self.expires_s <= now else "live"

    def ended_s(self, now: float) -> float:
        """Since when it is good for nothing; `now` while it lives."""
        return self.revoked_s or self.used_s or (self.expires_s if self.expires_s else now)


def is_token(text: str) -> bool:
    """Whether a text has the form of a token."""
    return TOKEN_TEXT.match(text) is not None


def parse_token(text: str) -> str:
    """A token as a user gives it; UsageError, which does not repeat it."""
    if not is_token(text.strip()):
        raise UsageError(
            f"a text of {len(text.strip())} characters is no token",
            hint="'strew token new' prints one: 16 hex digits, a dot, 43 characters",
        )
    return text.strip()


def id_of(token: str) -> str:
    """The public part of a token."""
    return token.partition(".")[0]


def verifier_of(token: str) -> bytes:
    """What the issuer keeps of a token, and what a joining machine proves to hold; 32 bytes."""
    token_id, _, secret = token.partition(".")
    return hmac.new(secret.encode(), _DOMAIN + token_id.encode(), hashlib.sha256).digest()


class Tokens:
    """All tokens of one process."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._records = {record.id: record for record in records}

    def records(self) -> list[Record]:
        """All that are remembered, oldest first."""
        return list(self._records.values())

    def record(self, token_id: str) -> Record | None:
        """One, by its id."""
        return self._records.get(token_id)

    # --- making ----------------------------------------------------------------------------------

    def make(
        self,
        role: TokenRole,
        now: float,
        dice: bytes,
        *,
        scope: str = "",
        life_s: float | None = None,
    ) -> tuple[Record, str]:
        """A new token: its record, and its text, which is seen only here.

        `dice` are ID_BYTES + SECRET_BYTES random bytes; `life_s` of 0 is without end. UsageError
        for a scope or life that breaks a rule, DeniedError where there are too many.
        """
        assert len(dice) == ID_BYTES + SECRET_BYTES
        if scope:
            if role != "publish":
                raise UsageError(
                    f"a token to {role} has no scope", hint="only --role publish takes --scope"
                )
            scope = parse_pattern(scope)
        lasts_s = LIFE_S[role] if life_s is None else life_s
        most_s = JOIN_LIFE_MAX_S if role == "join" else LIFE_MAX_S
        if not 0 <= lasts_s <= most_s:
            raise UsageError(
                f"a token to {role} lives at most {most_s / DAY_S:.0f} days", hint="give less --for"
            )
        self.forget(now)
        if len(self._records) >= TOKENS_MAX:
            raise DeniedError(
                f"{TOKENS_MAX} tokens are kept, not more",
                hint="revoke some: 'strew token ls' lists them",
            )
        token_id = dice[:ID_BYTES].hex()
        secret = base64.urlsafe_b64encode(dice[ID_BYTES:]).rstrip(b"=").decode()
        text = f"{token_id}.{secret}"
        record = Record(
            id=token_id,
            role=role,
            verifier=verifier_of(text),
            made_s=now,
            expires_s=now + lasts_s if lasts_s else 0.0,
            scope=scope,
        )
        self._records[token_id] = record
        return record, text

    # --- asking ----------------------------------------------------------------------------------

    def check(self, text: str, now: float) -> Grant | Fault:
        """What a bearer of this text may do. Takes the same time whatever is wrong with a secret.

        A join token is no bearer token: it would be sent in the clear.
        """
        if not is_token(text):
            return Fault.UNKNOWN
        record = self._records.get(id_of(text))
        expected = record.verifier if record is not None else bytes(32)
        proved = hmac.compare_digest(verifier_of(text), expected)
        if record is None or not proved or record.role == "join":
            return Fault.UNKNOWN
        state = record.state(now)
        if state != "live":
            return Fault.REVOKED if state == "revoked" else Fault.EXPIRED
        return Grant(ROLES[record.role], record.id, record.scope)

    # --- ending ----------------------------------------------------------------------------------

    def revoke(self, token_id: str, now: float) -> Record:
        """Make a token good for nothing. Once more does nothing. NotFoundError."""
        record = self._records.get(token_id)
        if record is None:
            raise NotFoundError(
                f"there is no token {token_id[:40]!a}", hint="'strew token ls' lists them"
            )
        if not record.revoked_s:
            record = msgspec.structs.replace(record, revoked_s=now)
            self._records[token_id] = record
        return record

    def use(self, token_id: str, now: float, source: str) -> None:
        """A join token was proved: it is good for nothing more."""
        record = self._records[token_id]
        assert record.role == "join" and record.state(now) == "live"
        used = msgspec.structs.replace(record, used_s=now, used_from=source)
        self._records[token_id] = used

    def forget(self, now: float) -> None:
        """Drop records that ended long ago."""
        gone = [
            record.id
            for record in self._records.values()
            if now - record.ended_s(now) > ENDED_KEPT_S
        ]
        for token_id in gone:
            del self._records[token_id]
