"""What an agent of profile strict proves itself with, and how that is renewed while it runs.

The three files are looked at every second or two: once one of them is another, all are loaded and
checked anew, and new connections use them. Those that stand go on, so nothing is cut. From two
thirds of the certificate's life on the node asks the trackers it joined for a new one (RFC 8555
has more ceremony: here the old certificate, on the same connection, is the proof), and puts it into
its file. A process that issues certificates renews its own by itself.
"""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
import structlog
from cryptography import x509

from strew.agent.settings import Settings
from strew.certificates.authority import Authority, request_of
from strew.certificates.credentials import Credentials, Files, load
from strew.certificates.files import write_public
from strew.certificates.identity import Certified
from strew.errors import ConfigurationError, DeniedError, NotFoundError, StrewError
from strew.tracker.problem import CONTENT_TYPE, Problem

LOOK_EVERY_S = 1.0
"""How often the files are looked at. Longer: a replaced certificate is used later; shorter: three
stat calls, which nobody notices."""

RENEW_RETRY_RATIO = 1 / 32
"""Of the certificate's life, between two tries to renew it: every five hours of a week."""

RENEW_RETRY_MIN_S = 1.0
"""Between two tries to renew a certificate of seconds, as tests have."""

REFUSED_HINT = "give --profile strict with --tls-ca, --tls-cert and --tls-key"

Ask = Callable[[bytes], Awaitable[bytes]]
"""Sends a certificate request to an issuer; gives the certificate. StrewError."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tls:
    """How one kind of connection is opened: the context of today."""

    security: Security
    is_named: bool

    @property
    def context(self) -> ssl.SSLContext:
        """For an address a person wrote, or one that other machines told."""
        return self.security.named if self.is_named else self.security.met


class Security:
    """See the module. `of` makes one from settings."""

    def __init__(self, files: Files, authority: Authority | None) -> None:
        """ConfigurationError if anything about the files is wrong."""
        self.files = files
        self.authority = authority
        self._stamp = files.stamp()
        self._now = load(files, _utc())
        self.plain_answer = _plain_answer()
        self.for_named = Tls(self, True)
        self.for_met = Tls(self, False)
        if authority is not None and not authority.issued(self._now.certificate):
            raise ConfigurationError(
                f"certificate {str(files.certificate)!r} is not of the authority of --tls-issuer",
                hint="only what that authority issued can it renew",
            )

    @classmethod
    def of(cls, settings: Settings) -> Security | None:
        """None in profile lab. ConfigurationError if something is missing, or for nothing."""
        named = {
            "tls-ca": settings.tls_ca,
            "tls-cert": settings.tls_cert,
            "tls-key": settings.tls_key,
        }
        if settings.profile != "strict":
            given = [key for key, path in named.items() if path is not None]
            if given or settings.tls_issuer is not None:
                raise ConfigurationError(
                    f"{(given or ['tls-issuer'])[0]} is set, but profile lab encrypts no TCP",
                    hint="say --profile strict, or leave it out",
                )
            return None
        for key, path in named.items():
            if path is None:
                raise ConfigurationError(
                    f"profile strict needs --{key}",
                    hint="'strew key ca' and 'strew key issue' make the three files",
                )
        assert settings.tls_ca and settings.tls_cert and settings.tls_key
        files = Files(settings.tls_ca, settings.tls_cert, settings.tls_key)
        issuer = settings.tls_issuer
        return cls(files, Authority.open(issuer) if issuer is not None else None)

    @property
    def certified(self) -> Certified:
        """Who this process is."""
        return self._now.certified

    @property
    def until(self) -> datetime.datetime:
        """When the certificate ends."""
        return self._now.certificate.not_valid_after_utc

    @property
    def is_late(self) -> bool:
        """Whether it should have been renewed a while ago: two tries are over."""
        life_s = 3 * (self._now.ends_s - self._now.renew_at_s)
        return _utc().timestamp() > self._now.renew_at_s + 2 * RENEW_RETRY_RATIO * life_s

    @property
    def server(self) -> ssl.SSLContext:
        """For connections that come in."""
        return self._now.server

    @property
    def named(self) -> ssl.SSLContext:
        """For addresses a person wrote."""
        return self._now.named

    @property
    def met(self) -> ssl.SSLContext:
        """For addresses other machines told."""
        return self._now.met

    # --- issuing ---------------------------------------------------------------------------------

    def reissue(self, request: bytes, transport: asyncio.BaseTransport) -> bytes:
        """A new certificate for whoever holds the one this connection was made with. DeniedError,
        UsageError; NotFoundError if this process issues none."""
        if self.authority is None:
            raise NotFoundError(
                "this process issues no certificates", hint="start it with --tls-issuer DIR"
            )
        shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        current = x509.load_der_x509_certificate(shown)
        return self.authority.renew(request, current, _utc())

    # --- renewing --------------------------------------------------------------------------------

    async def keep(self, ask: Ask) -> None:
        """Take up new files, and renew the certificate when it is time; for ever."""
        next_try_s = 0.0
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._look()
            now_s = _utc().timestamp()
            if now_s < max(self._now.renew_at_s, next_try_s):
                continue
            left_s = self._now.ends_s - now_s
            life_s = 3 * (self._now.ends_s - self._now.renew_at_s)
            next_try_s = now_s + max(RENEW_RETRY_RATIO * life_s, RENEW_RETRY_MIN_S)
            try:
                await self._renew(ask)
            except StrewError as error:
                _log.warning(
                    "certificate not renewed",
                    file=str(self.files.certificate),
                    hours_left=round(left_s / 3600, 2),
                    reason=error.message,
                    hint=error.hint,
                )

    async def _renew(self, ask: Ask) -> None:
        request = request_of(self._now.key_pem)
        if self.authority is not None:
            certificate = self.authority.renew(request, self._now.certificate, _utc())
        else:
            certificate = await ask(request)
        await asyncio.to_thread(self._take, certificate)
        _log.info(
            "certificate renewed",
            file=str(self.files.certificate),
            until=f"{self.until:%F %T}",
        )

    def _take(self, certificate: bytes) -> None:
        """Write it down once it is known to be good. ConfigurationError, DiskError."""
        files = self.files
        beside = files.certificate.with_name(f"{files.certificate.name}.new")
        write_public(beside, certificate)
        try:
            self._checked(Files(files.ca, beside, files.key))
        finally:
            beside.unlink(missing_ok=True)
        write_public(files.certificate, certificate)
        self._load()

    def _look(self) -> None:
        """Load what was replaced; a mistake in it is told once, and the old goes on."""
        stamp = self.files.stamp()
        if stamp == self._stamp:
            return
        try:
            self._load()
        except StrewError as error:
            self._stamp = stamp
            _log.error("new certificate not taken", reason=error.message, hint=error.hint)
        else:
            _log.info("new certificate taken", until=f"{self.until:%F %T}")

    def _load(self) -> None:
        stamp = self.files.stamp()
        self._now, self._stamp = self._checked(self.files), stamp

    def _checked(self, files: Files) -> Credentials:
        """Files that may take the place of those in use. ConfigurationError."""
        new = load(files, _utc())
        if new.certified != self._now.certified:
            raise ConfigurationError(
                f"certificate {str(files.certificate)!r} is now that of another peer",
                hint="start the process anew to become that one",
            )
        return new


def _utc() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _plain_answer() -> bytes:
    problem = Problem(
        type=f"urn:strew:{DeniedError.code}",
        title="Forbidden",
        status=403,
        detail="this fleet is of profile strict: TLS 1.3 with client certificates only",
        code=DeniedError.code,
        hint=REFUSED_HINT,
    )
    body = msgspec.json.encode(problem)
    head = (
        f"HTTP/1.1 403 Forbidden\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
