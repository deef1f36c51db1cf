"""The way into every route: Host, credential, role, budget, metrics, and errors as answers.

Which role a route admits stands in strew.access.routes, one table for nodes and trackers. A request
passes here in this order: Host, credential, budget of its source, role, scope, content type. A
right credential is never refused for the wrong ones that come from the same address: a rack behind
one address stays in the fleet whatever one of its machines does.
"""

import asyncio
import ipaddress
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import hdrs, web
from aiohttp.http_exceptions import PayloadEncodingError
from prometheus_client import CollectorRegistry, Counter, Histogram

from strew.access.budgets import Budgets
from strew.access.routes import POST_TYPES, Pass, Route, route_of
from strew.access.tokens import Fault, Grant
from strew.content.digest import parse_artifact_id
from strew.content.reference import parse_name
from strew.errors import DeniedError, ProtocolError, StrewError, UnavailableError, UsageError
from strew.fleet import FleetKey, Role, bearer_of
from strew.tracker.audit import AuditLog, Event
from strew.tracker.location import PORT
from strew.tracker.problem import CONTENT_TYPE, Problem, Refusal, refusal_of_error
from strew.tracker.vault import Vault
from strew.transfer.web import WebConnection

BODY_WITHIN_S = 30.0
"""A request's body must be here in this time. Lower: a slow publisher of a large manifest fails;
higher: drips hold connections longer."""

MEMBER_PER_S = 2000.0
MEMBER_BURST = 20_000
"""Requests with a right credential from one address. A thousand nodes behind one address, or two
thousand on one machine, that hear of a publication ask some eight things each within moments, and
each node's announces have a limit of their own. Lower: such a rack is refused at a publication;
higher: one address may take all that a tracker can answer, some 3000 a second."""

STRANGER_PER_S = 50.0
STRANGER_BURST = 500
"""Requests from one address that prove nothing: probes of health, files with a wrong token, wrong
credentials, paths that are none. Lower: a rack with last week's key is told of it late; higher: a
flood of them costs more than its refusal."""

SOURCE_UNKNOWN = "unknown"
"""Of a connection that was lost meanwhile."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HostRule = Callable[[str], bool]

_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Guard:
    """What a process has at its door beside the fleet key.

    `vault` holds its tokens and `audit` its audit log; processes that live for one transfer have
    neither. `strict`: whoever publishes must show a token of its own.
    """

    admits_host: HostRule = field(default_factory=lambda: host_rule())
    vault: Vault | None = None
    audit: AuditLog | None = None
    strict: bool = False


class RequestMetrics:
    """strew_tracker_requests_total and strew_tracker_request_seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "strew_tracker_requests",
            "Requests answered, by operation and status",
            ["op", "code"],
            registry=registry,
        )
        self._seconds = Histogram(
            "strew_tracker_request_seconds",
            "Time from a request's head to the end of its answer",
            ["op"],
            registry=registry,
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5),
        )

    def count(self, op: str, status: int, seconds: float | None) -> None:
        """Count one answer."""
        self._requests.labels(op, str(status)).inc()
        if seconds is not None:
            self._seconds.labels(op).observe(seconds)


def host_rule(*names: str) -> HostRule:
    """Admit requests to an IP literal, to localhost, and to `names`.

    A page in a browser reaches an inner service by making its own name resolve to it (DNS
    rebinding): such a request has that name in Host, never an IP literal.
    """
    allowed = {"localhost", *(name.lower() for name in names)}

    def admits(host: str) -> bool:
        name = host.lower()
        if name.startswith("["):
            name, bracket, _ = name[1:].partition("]")
            if not bracket:
                return False
        elif name.count(":") == 1:
            name = name.partition(":")[0]
        if name in allowed:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    return admits


class Gate:
    """Wraps handlers: see the module. One per application."""

    def __init__(self, key: FleetKey, metrics: RequestMetrics, guard: Guard | None = None) -> None:
        self._key = key
        self._metrics = metrics
        self.guard = guard or Guard()
        self._members = Budgets(MEMBER_PER_S, MEMBER_BURST)
        self._strangers = Budgets(STRANGER_PER_S, STRANGER_BURST)

    def routes(self, handlers: Mapping[str, Handler]) -> list[web.RouteDef]:
        """The rows of these handlers, for an application's router. KeyError for a handler that has
        no row: it would be without a rule."""
        rows = [(route_of(op), handler) for op, handler in handlers.items()]
        return [web.route(row.method, row.path, self._guarded(row, do)) for row, do in rows]

    def _guarded(self, row: Route, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            started = time.perf_counter()
            response = await self._answer(row, handler, request)
            seconds = None if row.held else time.perf_counter() - started
            self._metrics.count(row.op, response.status, seconds)
            return response

        return handle

    async def _answer(
        self, row: Route, handler: Handler, request: web.Request
    ) -> web.StreamResponse:
        _grant.set(None)
        try:
            self.check_host(request)
            self._admit(row, request)
            response = await handler(request)
        except Refusal as refusal:
            response = self._refuse(request, row.op, refusal)
        except StrewError as error:
            told = refusal_of_error(error)
            if told.status >= 500:
                _log.error("request failed", op=row.op, error=str(error))
            response = self._refuse(request, row.op, told)
        except (ConnectionError, asyncio.CancelledError, web.HTTPException):
            raise
        except Exception:
            # The last line of defence: a fault of ours ends one request, not the process, and
            # tells the other side nothing of our insides.
            _log.exception("request failed", op=row.op)
            response = problem_response(Refusal(500, StrewError.code, "internal error"))
        if not response.prepared:
            response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
            response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    # --- the rules, in their order ---------------------------------------------------------------

    def check_host(self, request: web.Request) -> None:
        """Refuse a request whose Host is not ours."""
        if not self.guard.admits_host(request.headers.get(hdrs.HOST, "")):
            raise Refusal(
                421,
                DeniedError.code,
                "the Host of this request is not one of this service",
                "use its IP address, or allow the name with --allow-host",
            )

    def _admit(self, row: Route, request: web.Request) -> None:
        """Let a request pass, or raise the Refusal that says which rule it broke."""
        if row.admits is Pass.OPEN or row.admits is Pass.JOIN:
            self._charge(request, proved=False)
        elif row.admits is Pass.FILES:
            self._admit_to_files(request)
        else:
            assert isinstance(row.admits, frozenset)
            grant = self._grant_of(request)
            self._charge(request, proved=True)
            if grant.role not in row.admits:
                role = grant.role.name.lower()
                raise Refusal(403, DeniedError.code, f"the token's role, {role}, may not {row.op}")
            self._check_scope(row, request, grant)
        if request.method == hdrs.METH_POST:
            _check_type(row, request)

    def _grant_of(self, request: web.Request) -> Grant:
        """What the bearer token proves."""
        token = bearer_of(request.headers.get(hdrs.AUTHORIZATION, ""))
        found = self._check(token)
        if isinstance(found, Grant):
            _grant.set(found)
            return found
        self._charge(request, proved=False)
        detail, hint = {
            Fault.UNKNOWN: (
                "a bearer token of this fleet is required",
                "check --fleet-key, which both sides must have in common, or --token",
            ),
            Fault.EXPIRED: ("this token has expired", "ask for another one"),
            Fault.REVOKED: ("this token was revoked", "ask for another one"),
        }[found]
        raise Refusal(401, DeniedError.code, detail, hint, {hdrs.WWW_AUTHENTICATE: "Bearer"})

    def _check(self, token: str) -> Grant | Fault:
        role = self._key.role_of(token)
        if role is Role.PUBLISH and self.guard.strict:
            raise Refusal(
                403,
                DeniedError.code,
                "in profile strict the fleet key does not allow to publish",
                "give --token, which 'strew token new --role publish' makes",
            )
        if role is not None:
            return Grant(role)
        return self.guard.vault.check(token) if self.guard.vault is not None else Fault.UNKNOWN

    def _admit_to_files(self, request: web.Request) -> None:
        artifact = parse_artifact_id(request.match_info["id"])
        header = bearer_of(request.headers.get(hdrs.AUTHORIZATION, ""))
        proved = self._key.reads(request.query.get("token") or header, artifact)
        self._charge(request, proved=proved)
        if not proved:
            raise DeniedError(
                "no valid token for these files", hint="take the address that `strew show` prints"
            )

    def _charge(self, request: web.Request, *, proved: bool) -> None:
        """Count a request against its source's budget."""
        budgets = self._members if proved else self._strangers
        wait_s = budgets.take(source_of(request), time.monotonic())
        if wait_s:
            raise Refusal(
                429,
                UnavailableError.code,
                "too many requests from this address",
                "wait as Retry-After says",
                {hdrs.RETRY_AFTER: str(max(1, round(wait_s)))},
            )

    def _check_scope(self, row: Route, request: web.Request, grant: Grant) -> None:
        if row.scoped and grant.scope:
            reference = reference_of(request)
            if not grant.may_name(reference):
                raise Refusal(
                    403,
                    DeniedError.code,
                    f"this token may name {grant.scope}, not {reference}",
                    "publish under another name, or ask for another token",
                )

    # --- what is told ----------------------------------------------------------------------------

    def note(self, request: web.Request, event: Event, **facts: str | int | float) -> None:
        """Write a line of the audit log, with who asked."""
        if self.guard.audit is not None:
            self.guard.audit.write(event, source_of(request), **_who(), **facts)

    def _refuse(self, request: web.Request, op: str, refusal: Refusal) -> web.Response:
        """The answer of a refusal; those that concern who may do what are noted."""
        if refusal.status in (401, 403, 421, 429) and self.guard.audit is not None:
            self.guard.audit.refused(
                source_of(request),
                op=op,
                status=refusal.status,
                reason=refusal.detail,
                **_who(),
            )
        return problem_response(refusal)

    @web.middleware
    async def strangers(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Middleware for what no route matches: the same rules and form of errors. It also tells
        the connection when a request is answered."""
        with _attended(request):
            try:
                response = await handler(request)
            except web.HTTPException as error:
                if error.status < 400:
                    raise
                response = self._unmatched(request, error)
            if not response.prepared and not request.content.is_eof():
                response.force_close()  # a body nobody read would be taken for the next head
            return response

    def _unmatched(self, request: web.Request, error: web.HTTPException) -> web.Response:
        try:
            self.check_host(request)
            self._charge(request, proved=False)
            refusal = Refusal(error.status, UsageError.code, error.reason)
            if error.status == 404:
                refusal = Refusal(404, "not-found", f"no route {_shown(request.path)}")
        except Refusal as misdirected:
            refusal = misdirected
        self._metrics.count("unknown", refusal.status, None)
        response = self._refuse(request, "unknown", refusal)
        if hdrs.ALLOW in error.headers:
            response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
        return response


_grant: ContextVar[Grant | None] = ContextVar("grant", default=None)
"""What the request that this task answers has proved."""


def source_of(request: web.Request) -> str:
    """The address a request came from, in one spelling."""
    address = request.remote or SOURCE_UNKNOWN
    return address.removeprefix("::ffff:")


def _who() -> dict[str, str]:
    """Role and token of whoever asked, as far as something was proved."""
    grant = _grant.get()
    if grant is None:
        return {"role": "none"}
    return {"role": grant.role.name.lower(), "token": grant.by}


def _check_type(row: Route, request: web.Request) -> None:
    """Refuse a POST that a page of another site could have had a browser send."""
    given = request.headers.get(hdrs.CONTENT_TYPE, "")
    if request.content_type in POST_TYPES and (given or not isinstance(row.admits, Pass)):
        return  # a bearer token alone makes a browser ask first, so the type may be missing
    raise Refusal(
        415,
        UsageError.code,
        f"a POST here is not of type {given[:60]!a}",
        "send Content-Type: application/json",
    )


@contextmanager
def _attended(request: web.Request) -> Iterator[None]:
    """Tell the connection that a request is being answered, for as long as it is."""
    transport = request.transport
    connection = transport.get_protocol() if transport is not None else None
    if not isinstance(connection, WebConnection):
        yield
        return
    connection.begun()
    try:
        yield
    finally:
        connection.answered()


async def body_of(request: web.Request, limit_bytes: int) -> bytes:
    """The request's body; refused with 413 as soon as it exceeds `limit_bytes`, and with 408 if
    it is not here within BODY_WITHIN_S."""
    if (request.content_length or 0) > limit_bytes:
        raise _too_large(limit_bytes)
    pieces: list[bytes] = []
    size_bytes = 0
    try:
        if request.content.is_eof():  # it came with its head: there is nothing to wait for
            body = await request.content.read()
            if len(body) > limit_bytes:
                raise _too_large(limit_bytes)
            return body
        async with asyncio.timeout(BODY_WITHIN_S):
            async for piece in request.content.iter_any():
                size_bytes += len(piece)
                if size_bytes > limit_bytes:
                    raise _too_large(limit_bytes)
                pieces.append(piece)
    except TimeoutError:
        raise Refusal(
            408, ProtocolError.code, f"the body took longer than {BODY_WITHIN_S:.0f} s"
        ) from None
    except (web.RequestPayloadError, PayloadEncodingError):
        raise Refusal(400, ProtocolError.code, "the body is not encoded as its head says") from None
    return b"".join(pieces)


def problem_response(refusal: Refusal) -> web.Response:
    """The answer of a refusal."""
    problem = Problem(
        type=f"urn:strew:{refusal.code}",
        title=HTTPStatus(refusal.status).phrase,
        status=refusal.status,
        detail=refusal.detail,
        code=refusal.code,
        hint=refusal.hint,
    )
    return web.Response(
        body=msgspec.json.encode(problem),
        status=refusal.status,
        content_type=CONTENT_TYPE,
        headers=refusal.headers,
    )


def _too_large(limit_bytes: int) -> Refusal:
    return Refusal(413, ProtocolError.code, f"a body here has at most {limit_bytes} bytes")


def _shown(path: str) -> str:
    """A path for an error's text: bounded, printable."""
    return ascii(path[:100])[1:-1]


def reference_of(request: web.Request) -> str:
    """NAME:TAG of a route that ends in both. UsageError."""
    return str(parse_name(f"{request.match_info['name']}:{request.match_info['tag']}"))


def port_of(request: web.Request) -> int:
    """The port in a query, where the caller listens. UsageError."""
    text = request.query.get(PORT, "")
    port = int(text) if _PORT.fullmatch(text) else 0
    if not 0 < port < 65536:
        raise UsageError("query has no valid port of the caller")
    return port
