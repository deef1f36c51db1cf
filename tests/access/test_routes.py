"""The whole table of routes, asked with every kind of credential, at real services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
import pytest

from strew.access.routes import ADMIN, NODE, PUBLISH, READ, ROUTES, Pass, Route
from strew.access.tokens import DAY_S
from strew.agent.process import open_agent, open_guard, open_tracker, peer_id_in
from strew.agent.settings import Profile
from strew.content.reference import Address
from strew.dashboard import assets
from strew.fleet import FleetKey, Role
from strew.store.disk import DiskStore
from strew.tracker import vault as vaults
from strew.tracker.gate import Guard
from strew.trust.keys import member_key
from strew.trust.policy import Anchor
from tests.agent.test_fetches import KEY, settings_in
from tests.announce.makers import artifact_id
from tests.certificates.issued import Issuer

ARTIFACT = artifact_id("something")
OTHER_KEY = FleetKey(bytes(32))

REFUSED = (401, 403)
"""What a wrong credential is answered; anything else came from behind the gate."""

TRACKERS_OWN = {"announce", "telemetry"}
"""What a node that is no tracker does not do."""


@dataclass(frozen=True)
class Credential:
    """A text to show, and the role it stands for: None if it stands for nothing."""

    name: str
    text: str
    role: Role | None


@dataclass(frozen=True)
class Process:
    """A real service on a loopback port."""

    address: Address
    guard: Guard
    session: aiohttp.ClientSession
    is_tracker: bool
    scheme: str = "http"

    def rows(self) -> list[Route]:
        """The routes it has."""
        return [row for row in ROUTES if self.is_tracker or row.op not in TRACKERS_OWN]

    async def status(self, row: Route, token: str, **headers: str) -> int:
        """How it answers to this token, with an empty object as body."""
        path = row.path.replace("{id}", ARTIFACT).replace("{token}", "0" * 16)
        path = (
            path.replace("{node}", "0" * 32)
            .replace("{name:.+}/{tag}", "app/1")
            .replace("{path:.*}", "app.bin")
        )
        if token:
            headers["Authorization"] = f"Bearer {token}"
        body = None if row.method == "GET" else b"{}"
        headers.setdefault("Content-Type", "application/json")
        async with self.session.request(
            row.method, f"{self.scheme}://{self.address}{path}", headers=headers, data=body
        ) as answer:
            if answer.status >= 400 and row.op != "readyz":
                assert answer.content_type == "application/problem+json"
            assert not [name for name in answer.headers if name.startswith("Access-Control")]
            return answer.status


@asynccontextmanager
async def process(
    folder: Path, *, is_tracker: bool, profile: Profile = "lab"
) -> AsyncIterator[Process]:
    publisher = Anchor(member_key(OTHER_KEY).public)
    settings = msgspec.structs.replace(settings_in(folder), profile=profile, trust=(publisher,))
    scheme, connector = "http", None
    if profile == "strict":
        issuer = Issuer(folder / "ca")
        files = issuer.files("it")
        settings = msgspec.structs.replace(
            settings, tls_ca=files.ca, tls_cert=files.certificate, tls_key=files.key
        )
        scheme = "https"
        connector = aiohttp.TCPConnector(ssl=issuer.credentials("asker", is_user=True).named)
    async with AsyncExitStack() as stack:
        store = DiskStore(folder)
        stack.callback(store.close)
        guard = await stack.enter_async_context(open_guard(settings))
        tracker = None
        if is_tracker:
            tracker = await stack.enter_async_context(open_tracker(folder, KEY, guard))
        agent = await stack.enter_async_context(
            open_agent(
                *(settings, store, KEY),
                peer=peer_id_in(folder),
                tracker=tracker,
                seeds=(),
                guard=guard,
                pages=assets.handlers(),
            )
        )
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        yield Process(Address(*agent.address), guard, session, is_tracker, scheme)


def credentials(
    guard: Guard, monkeypatch: pytest.MonkeyPatch, *, strict: bool
) -> Iterator[Credential]:
    """Every kind there is, right and wrong."""
    vault = guard.vault
    assert vault is not None
    made = {role: vault.make(role)[1] for role in ("read", "publish", "admin", "join")}
    yield Credential("none", "", None)
    yield Credential("garbage", "x" * 60, None)
    yield Credential("long", "x" * 4000, None)
    yield Credential("of another fleet", OTHER_KEY.node_token(), None)
    yield Credential("the fleet's, to read", KEY.viewer_token(), Role.READ)
    yield Credential("the fleet's, of a node", KEY.node_token(), Role.NODE)
    publishes = None if strict else Role.PUBLISH
    yield Credential("the fleet's, to publish", KEY.publish_token(), publishes)
    yield Credential("to read", made["read"], Role.READ)
    yield Credential("to publish", made["publish"], Role.PUBLISH)
    yield Credential("to make tokens", made["admin"], Role.ADMIN)
    yield Credential("to join, shown as a bearer", made["join"], None)
    yield Credential("another's secret", made["read"][:17] + made["admin"][17:], None)
    revoked, text = vault.make("admin")
    vault.revoke(revoked.id)
    yield Credential("revoked", text, None)
    _, text = vault.make("admin", life_s=DAY_S)
    yield Credential("in time", text, Role.ADMIN)
    past = vaults.Vault(Path(str(vault._folder)), clock=lambda: vault.now() - 2 * DAY_S)
    _, text = past.make("publish", life_s=DAY_S)
    monkeypatch.setattr(vault, "_tokens", past._tokens)
    yield Credential("expired", text, None)


def admits(row: Route, credential: Credential) -> bool:
    """What the table says, told in other words than the gate's."""
    if row.admits in (Pass.OPEN, Pass.JOIN):
        return True
    if row.admits is Pass.FILES:
        return credential.text == KEY.node_token()
    assert isinstance(row.admits, frozenset)
    return credential.role is not None and credential.role in row.admits


@pytest.mark.parametrize("profile", ["lab", "strict"])
@pytest.mark.parametrize("is_tracker", [True, False], ids=["serve", "node"])
async def test_every_route_admits_whom_its_row_names_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_tracker: bool, profile: Profile
) -> None:
    async with process(tmp_path, is_tracker=is_tracker, profile=profile) as on:
        kinds = list(credentials(on.guard, monkeypatch, strict=profile == "strict"))
        assert len({kind.text for kind in kinds}) == len(kinds)
        for row in on.rows():
            for kind in kinds:
                status = await on.status(row, kind.text)
                if row.op == "join":
                    assert status in (400, 429), "only what is proved matters, and tries count"
                    continue
                assert (status not in REFUSED) is admits(row, kind), (row.op, kind.name, status)


async def test_a_scoped_token_names_what_matches_and_nothing_else(tmp_path: Path) -> None:
    async with process(tmp_path, is_tracker=True) as on:
        assert on.guard.vault is not None
        elsewhere, here = (
            on.guard.vault.make("publish", scope=scope)[1] for scope in ("other:*", "app:1")
        )
        for row in on.rows():
            if row.admits == PUBLISH:
                assert await on.status(row, here) not in REFUSED
                assert (await on.status(row, elsewhere) in REFUSED) is row.scoped, row.op


async def test_the_token_of_an_artifacts_files_opens_nothing_else(tmp_path: Path) -> None:
    token = KEY.read_token(ARTIFACT)
    async with process(tmp_path, is_tracker=True) as on:
        for row in on.rows():
            is_open = row.admits in (Pass.OPEN, Pass.FILES, Pass.JOIN)
            assert (await on.status(row, token) not in REFUSED) is is_open, row.op


async def test_a_foreign_host_is_refused_at_every_route(tmp_path: Path) -> None:
    async with process(tmp_path, is_tracker=True) as on:
        for row in on.rows():
            assert await on.status(row, KEY.node_token(), Host="evil.example") == 421, row.op


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
async def test_no_route_takes_what_a_page_can_make_a_browser_send(
    tmp_path: Path, kind: str
) -> None:
    """The three types that need no leave of the other side, and GET, which changes nothing."""
    async with process(tmp_path, is_tracker=True) as on:
        for row in on.rows():
            if row.method == "POST":
                token = KEY.node_token() if row.admits == NODE else ""
                if row.admits == ADMIN:
                    assert on.guard.vault is not None
                    token = on.guard.vault.make("admin")[1]
                headers = {"Content-Type": kind, "Origin": "https://evil.example"}
                assert await on.status(row, token, **headers) == 415, row.op


async def test_a_browser_is_given_no_leave_to_ask(tmp_path: Path) -> None:
    async with process(tmp_path, is_tracker=True) as on:
        ask = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
        url = f"http://{on.address}/api/v1/names/app/1"
        async with on.session.options(url, headers=ask) as answer:
            assert answer.status == 405
            assert not [name for name in answer.headers if name.startswith("Access-Control")]


def test_the_table_names_a_rule_for_every_route() -> None:
    assert all(row.admits for row in ROUTES), "a row that admits no role would have no use"
    assert len({(row.method, row.path) for row in ROUTES}) == len(ROUTES)
    assert {row.op for row in ROUTES if row.admits is Pass.OPEN} == {
        *("healthz", "readyz", "join-challenge", "page", "asset"),
    }
    for row in ROUTES:
        if row.method == "GET":
            assert row.admits in (READ, ADMIN, Pass.OPEN, Pass.FILES), "looking changes nothing"
        else:
            assert row.admits in (NODE, PUBLISH, ADMIN, Pass.JOIN, Pass.OPEN)


async def test_a_handler_without_a_row_cannot_be_mounted(tmp_path: Path) -> None:
    from prometheus_client import CollectorRegistry

    from strew.tracker.gate import Gate, RequestMetrics

    async def handler(request: object) -> object:
        raise AssertionError

    gate = Gate(KEY, RequestMetrics(CollectorRegistry()))
    with pytest.raises(KeyError):
        gate.routes({"erase-everything": handler})  # type: ignore[dict-item]
