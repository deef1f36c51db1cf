"""The routes of who may: tokens made, listed and revoked, and machines let in by a join token."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import msgspec
import structlog
from aiohttp import hdrs, web

from strew.access.budgets import Budgets
from strew.access.joining import (
    ChallengeAnswer,
    ChallengeRequest,
    Challenges,
    JoinAnswer,
    JoinRequest,
    Welcome,
    proves,
    seal,
)
from strew.access.tokens import Record, TokenRole
from strew.announce.protocol import decoded
from strew.errors import DeniedError, UnavailableError
from strew.fleet import FleetKey
from strew.publication import PATTERN_CHARS_MAX
from strew.tracker.gate import Gate, Handler, body_of, source_of
from strew.tracker.problem import Refusal
from strew.tracker.vault import Vault

REQUEST_BYTES_MAX = 4096
"""Largest body here: a proof of join has 300 bytes."""

JOINS_PER_MINUTE = 5
"""Join attempts that fail, of one address. An attempt that proves its token is given back, so that
a rack behind one address can join at once. Lower: a typing error locks a person out; higher: more
noise in the audit log, and nothing else, as 256 bits are not guessed."""

Anchors = Callable[[], tuple[str, ...]]
"""The public keys of publishers that a joining machine is to trust, as text."""

_log = structlog.get_logger(__name__)


class TokenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /api/v1/tokens; `seconds` is the life, None the usual one of the role."""

    role: TokenRole
    scope: Annotated[str, msgspec.Meta(max_length=PATTERN_CHARS_MAX)] = ""
    seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None


class TokenReport(msgspec.Struct, frozen=True, kw_only=True):
    """A token as lists show it; `token` is its text, only in the answer that made it."""

    id: str
    role: TokenRole
    state: Literal["live", "used", "revoked", "expired"]
    made_s: float
    scope: str = ""
    expires_s: float | None = None
    ended_s: float | None = None
    used_from: str = ""
    token: str = ""


_token_decoder = msgspec.json.Decoder(TokenRequest)
_challenge_decoder = msgspec.json.Decoder(ChallengeRequest)
_join_decoder = msgspec.json.Decoder(JoinRequest)


class Admission:
    """The handlers of one process that keeps tokens."""

    def __init__(self, gate: Gate, key: FleetKey, vault: Vault, anchors: Anchors = tuple) -> None:
        self._gate = gate
        self._key = key
        self._vault = vault
        self._anchors = anchors
        self._challenges = Challenges(secrets.token_bytes(32))
        self._attempts = Budgets(JOINS_PER_MINUTE / 60, JOINS_PER_MINUTE)

    def handlers(self) -> Mapping[str, Handler]:
        """What is served here, by op of strew.access.routes."""
        return {
            "tokens": self._tokens,
            "token-new": self._new,
            "token-revoke": self._revoke,
            "join-challenge": self._challenge,
            "join": self._join,
        }

    # --- tokens ----------------------------------------------------------------------------------

    async def _tokens(self, _request: web.Request) -> web.Response:
        now = self._vault.now()
        return _json([_report(record, now) for record in self._vault.records()])

    async def _new(self, request: web.Request) -> web.Response:
        body = await body_of(request, REQUEST_BYTES_MAX)
        asked = decoded(body, _token_decoder, "request for a token")
        record, text = await asyncio.to_thread(
            self._vault.make, asked.role, scope=asked.scope, life_s=asked.seconds
        )
        self._gate.note(request, "token-made", id=record.id, made=record.role, scope=record.scope)
        report = _report(record, self._vault.now())
        return _json(msgspec.structs.replace(report, token=text), status=201)

    async def _revoke(self, request: web.Request) -> web.Response:
        token_id = request.match_info["token"]
        record = await asyncio.to_thread(self._vault.revoke, token_id)
        self._gate.note(request, "token-revoked", id=record.id, made=record.role)
        return _json(_report(record, self._vault.now()))

    # --- joining ---------------------------------------------------------------------------------

    async def _challenge(self, request: web.Request) -> web.Response:
        body = await body_of(request, REQUEST_BYTES_MAX)
        asked = decoded(body, _challenge_decoder, "request to join")
        challenge = self._challenges.make(asked, time.monotonic(), secrets.token_bytes(16))
        return _json(ChallengeAnswer(challenge))

    async def _join(self, request: web.Request) -> web.Response:
        source = source_of(request)
        wait_s = self._attempts.take(source, time.monotonic())
        if wait_s:
            raise Refusal(
                429,
                UnavailableError.code,
                f"more than {JOINS_PER_MINUTE} attempts to join in a minute",
                "wait as Retry-After says, and check the token",
                {hdrs.RETRY_AFTER: str(max(1, round(wait_s)))},
            )
        said = decoded(await body_of(request, REQUEST_BYTES_MAX), _join_decoder, "request to join")
        record = self._vault.record(said.id)
        verifier = record.verifier if record is not None else secrets.token_bytes(32)
        is_fresh = self._challenges.holds(said, time.monotonic())
        if not (proves(verifier, said) and is_fresh and record is not None):
            raise _denied("the join token is not one of this fleet")
        if not await asyncio.to_thread(self._vault.use, said.id, source):
            raise _denied(f"join token {said.id} is used, revoked or expired")
        self._attempts.give_back(source, time.monotonic())
        self._gate.note(request, "join", id=said.id)
        _log.info("a machine joined by a token", source=source, token=said.id)
        welcome = Welcome(self._key.text, self._anchors())
        return _json(JoinAnswer(seal(verifier, said, welcome)))


def _denied(message: str) -> DeniedError:
    return DeniedError(message, hint="make another: 'strew token new --role join'")


def _report(record: Record, now: float) -> TokenReport:
    state = record.state(now)
    return TokenReport(
        id=record.id,
        role=record.role,
        state=state,
        made_s=record.made_s,
        scope=record.scope,
        expires_s=record.expires_s or None,
        ended_s=None if state == "live" else record.ended_s(now),
        used_from=record.used_from,
    )


def _json(value: object, *, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")
