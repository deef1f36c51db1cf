"""Tokens made and machines let in, over HTTP, at a real process; and what the audit log says."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from strew.access.joining import ChallengeAnswer, ChallengeRequest, JoinAnswer, Welcome, prove, seal
from strew.access.tokens import id_of, verifier_of
from strew.content.reference import Address
from strew.errors import DeniedError, NotFoundError, UnavailableError, UsageError
from strew.tracker.admission import JOINS_PER_MINUTE, Admission
from strew.tracker.audit import AUDIT_FILE, AuditLog
from strew.tracker.client import TrackerClient
from strew.tracker.gate import Gate, Guard, RequestMetrics
from strew.tracker.token_client import TokenClient
from strew.tracker.vault import TOKENS_FILE, Vault
from tests.tracker.served import KEY, listening

ANCHORS = ("ed25519:" + "A" * 43,)


@dataclass(frozen=True)
class Issuer:
    """A process that keeps tokens, and its owner's client."""

    folder: Path
    vault: Vault
    address: Address
    session: aiohttp.ClientSession
    admin: TokenClient

    def holder(self, token: str = "") -> TokenClient:
        return TokenClient(self.session, self.address, token)

    def audited(self) -> list[dict[str, object]]:
        path = self.folder / AUDIT_FILE
        return [json.loads(line) for line in path.read_text().splitlines()]


@asynccontextmanager
async def issuing(folder: Path) -> AsyncIterator[Issuer]:
    vault = Vault(folder)
    guard = Guard(vault=vault, audit=AuditLog(folder))
    gate = Gate(KEY, RequestMetrics(CollectorRegistry()), guard)
    app = web.Application(middlewares=[gate.strangers])
    app.add_routes(gate.routes(Admission(gate, KEY, vault, lambda: ANCHORS).handlers()))
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(listening(app))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        admin = TokenClient(session, address, vault.make("admin")[1])
        yield Issuer(folder, vault, address, session, admin)


async def test_tokens_are_made_listed_and_revoked(tmp_path: Path) -> None:
    async with issuing(tmp_path) as at:
        made = await at.admin.make("publish", "app:*", 600.0)
        assert (made.role, made.scope, made.state) == ("publish", "app:*", "live")
        assert made.expires_s == pytest.approx(made.made_s + 600.0)
        listed = {token.id: token for token in await at.admin.tokens()}
        assert listed[made.id] == msgspec.structs.replace(made, token="")
        assert (await at.admin.revoke(made.id)).state == "revoked"
        with pytest.raises(NotFoundError):
            await at.admin.revoke("f" * 16)
        with pytest.raises(UsageError, match="no scope"):
            await at.admin.make("read", "app:*")


async def test_a_token_that_is_no_admins_makes_none(tmp_path: Path) -> None:
    async with issuing(tmp_path) as at:
        read = await at.admin.make("read")
        with pytest.raises(DeniedError, match="read, may not token-new"):
            await at.holder(read.token).make("admin")
        fleet = TrackerClient(at.session, at.address, KEY, KEY.publish_token())
        with pytest.raises(DeniedError, match="publish, may not token-new"):
            await fleet._asked("POST", "/api/v1/tokens", fleet._publisher, data=b"{}")


async def test_a_machine_joins_once_by_a_token(tmp_path: Path) -> None:
    async with issuing(tmp_path) as at:
        token = (await at.admin.make("join")).token
        assert await at.holder().join(token) == Welcome(KEY.text, ANCHORS)
        with pytest.raises(DeniedError, match="used, revoked or expired"):
            await at.holder().join(token)
        [used] = [t for t in await at.admin.tokens() if t.role == "join"]
        assert (used.state, used.used_from) == ("used", "127.0.0.1")


async def test_of_many_that_join_by_one_token_at_once_one_does(tmp_path: Path) -> None:
    async with issuing(tmp_path) as at:
        token = (await at.admin.make("join")).token
        joins = [at.holder().join(token) for _ in range(JOINS_PER_MINUTE)]
        ended = await asyncio.gather(*joins, return_exceptions=True)
        assert sum(isinstance(end, Welcome) for end in ended) == 1
        assert sum(isinstance(end, DeniedError) for end in ended) == JOINS_PER_MINUTE - 1


async def test_revoked_foreign_and_other_tokens_do_not_join(tmp_path: Path) -> None:
    async with issuing(tmp_path) as at:
        revoked = await at.admin.make("join")
        await at.admin.revoke(revoked.id)
        publish = await at.admin.make("publish")
        for token in (revoked.token, publish.token, "f" * 16 + "." + "A" * 43):
            with pytest.raises(DeniedError, match="join token"):
                await at.holder().join(token)


async def test_attempts_to_join_are_limited_and_good_ones_do_not_count(tmp_path: Path) -> None:
    async with issuing(tmp_path) as at:
        for _ in range(2 * JOINS_PER_MINUTE):
            await at.holder().join((await at.admin.make("join")).token)
        for _ in range(JOINS_PER_MINUTE):
            with pytest.raises(DeniedError):
                await at.holder().join("f" * 16 + "." + "A" * 43)
        with pytest.raises(UnavailableError, match="attempts to join in a minute"):
            await at.holder().join("f" * 16 + "." + "A" * 43)


async def test_what_is_answered_does_not_say_which_tokens_there_are(tmp_path: Path) -> None:
    """The same challenge and the same refusal, for an id that exists and one that does not."""
    async with issuing(tmp_path) as at:
        there = (await at.admin.make("join")).token
        said = set()
        for token in (there[:17] + "A" * 43, "f" * 16 + "." + "A" * 43):
            with pytest.raises(DeniedError) as caught:
                await at.holder().join(token)
            said.add(caught.value.message)
        assert len(said) == 1


async def test_a_false_issuer_is_found_out(tmp_path: Path) -> None:
    """Who answers in its place can take the attempt, and learns and gives nothing."""
    token = "0123456789abcdef." + "S" * 43
    seen: list[bytes] = []

    async def challenge(request: web.Request) -> web.Response:
        seen.append(await request.read())
        body = msgspec.json.encode(ChallengeAnswer(bytes(56)))
        return web.Response(body=body, content_type="application/json")

    async def join(request: web.Request) -> web.Response:
        seen.append(await request.read())
        asked = ChallengeRequest(id_of(token), bytes(32))
        false = secrets.token_bytes(32)
        sealed = seal(false, prove(false, asked, bytes(56)), Welcome("cd" * 32))
        body = msgspec.json.encode(JoinAnswer(sealed))
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_post("/api/v1/join/challenge", challenge)
    app.router.add_post("/api/v1/join", join)
    async with listening(app) as address, aiohttp.ClientSession() as session:
        with pytest.raises(DeniedError, match="whoever made the token"):
            await TokenClient(session, address).join(token)
    assert len(seen) == 2
    assert not any(b"S" * 43 in body or verifier_of(token) in body for body in seen)


async def test_the_audit_log_tells_of_all_that_and_holds_no_secret(tmp_path: Path) -> None:
    async with issuing(tmp_path) as at:
        join = await at.admin.make("join")
        publish = await at.admin.make("publish", "app:*")
        await at.holder().join(join.token)
        await at.admin.revoke(publish.id)
        with pytest.raises(DeniedError):
            await at.holder(publish.token).tokens()
        with pytest.raises(DeniedError):
            await at.holder().join(join.token)
        told = at.audited()
        assert [(line["event"], line["role"]) for line in told] == [
            ("token-made", "admin"),
            ("token-made", "admin"),
            ("join", "none"),
            ("token-revoked", "admin"),
            ("refused", "none"),
            ("refused", "none"),
        ]
        assert {line["source"] for line in told} == {"127.0.0.1"}
        kept = (at.folder / AUDIT_FILE).read_text() + (at.folder / TOKENS_FILE).read_text()
        for secret in (join.token, publish.token, at.admin._node["Authorization"][7:]):
            assert secret.partition(".")[2] not in kept
        assert KEY.text not in kept and KEY.node_token() not in kept


async def test_a_client_without_a_token_asks_as_nobody(tmp_path: Path) -> None:
    async with issuing(tmp_path) as at:
        with pytest.raises(DeniedError, match="bearer token"):
            await at.holder().tokens()
