"""The way into every route: Host, role, limits, metrics, and errors as answers.

Every route stands in a table with the roles it admits; a route without any would admit nobody.
"""

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec
import structlog
from aiohttp import hdrs, web
from aiohttp.http_exceptions import PayloadEncodingError
from prometheus_client import CollectorRegistry, Counter, Histogram

from strew.content.reference import parse_name
from strew.errors import DeniedError, ProtocolError, StrewError, UsageError
from strew.fleet import FleetKey, Role, bearer_of
from strew.tracker.problem import CONTENT_TYPE, Problem, Refusal, refusal_of_error

BODY_WITHIN_S = 30.0
"""A request's body must be here in this time. Lower: a slow publisher of a large manifest fails;
higher: drips hold connections longer."""

OPEN: Final[frozenset[Role] | None] = None
"""For anyone, without a token."""
READ: Final = frozenset((Role.READ, Role.NODE, Role.PUBLISH))
NODE: Final = frozenset((Role.NODE,))
PUBLISH: Final = frozenset((Role.PUBLISH,))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HostRule = Callable[[str], bool]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the route table. `op` is its label in metrics; `roles` None means anyone."""

    method: str
    path: str
    op: str
    roles: frozenset[Role] | None
    handler: Handler
    held: bool = False
    """Whether the answer stays open as long as the asker likes; its time is not measured."""


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
            name = name[1:].partition("]")[0]
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

    def __init__(self, key: FleetKey, metrics: RequestMetrics, admits_host: HostRule) -> None:
        self._key = key
        self._metrics = metrics
        self._admits_host = admits_host

    def guarded(self, route: Route) -> Handler:
        """The route's handler behind the gate."""

        async def handle(request: web.Request) -> web.StreamResponse:
            started = time.perf_counter()
            response = await self._answer(route, request)
            seconds = None if route.held else time.perf_counter() - started
            self._metrics.count(route.op, response.status, seconds)
            return response

        return handle

    async def _answer(self, route: Route, request: web.Request) -> web.StreamResponse:
        try:
            self.check_host(request)
            self._check_role(route, request)
            response = await route.handler(request)
        except Refusal as refusal:
            response = problem_response(refusal)
        except StrewError as error:
            if refusal_of_error(error).status >= 500:
                _log.error("request failed", op=route.op, error=str(error))
            response = problem_response(refusal_of_error(error))
        except (ConnectionError, asyncio.CancelledError, web.HTTPException):
            raise
        except Exception:
            # The last line of defence: a fault of ours ends one request, not the process, and
            # tells the other side nothing of our insides.
            _log.exception("request failed", op=route.op)
            response = problem_response(Refusal(500, StrewError.code, "internal error"))
        if not response.prepared:
            response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
            response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    def check_host(self, request: web.Request) -> None:
        """Refuse a request whose Host is not ours."""
        if not self._admits_host(request.headers.get(hdrs.HOST, "")):
            raise Refusal(
                421,
                DeniedError.code,
                "the Host of this request is not one of this service",
                "use its IP address, or allow the name in the configuration",
            )

    def _check_role(self, route: Route, request: web.Request) -> None:
        if route.roles is None:
            return
        token = bearer_of(request.headers.get(hdrs.AUTHORIZATION, ""))
        role = self._key.role_of(token) if token else None
        if role is None:
            raise Refusal(
                401,
                DeniedError.code,
                "a bearer token of this fleet is required",
                "check --fleet-key; both sides must hold the same key",
                {hdrs.WWW_AUTHENTICATE: "Bearer"},
            )
        if role not in route.roles:
            raise Refusal(403, DeniedError.code, f"the token's role may not {route.op}")

    @web.middleware
    async def strangers(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Middleware for what no route matches: the same Host rule and form of errors."""
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            try:
                self.check_host(request)
                refusal = Refusal(error.status, UsageError.code, error.reason)
                if error.status == 404:
                    refusal = Refusal(404, "not-found", f"no route {_shown(request.path)}")
            except Refusal as misdirected:
                refusal = misdirected
            self._metrics.count("unknown", refusal.status, None)
            response = problem_response(refusal)
            if hdrs.ALLOW in error.headers:
                response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
            return response


async def body_of(request: web.Request, limit_bytes: int) -> bytes:
    """The request's body; refused with 413 as soon as it exceeds `limit_bytes`, and with 408 if
    it is not here within BODY_WITHIN_S."""
    if (request.content_length or 0) > limit_bytes:
        raise _too_large(limit_bytes)
    pieces: list[bytes] = []
    size_bytes = 0
    try:
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
