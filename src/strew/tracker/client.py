"""The client's end of the tracker's API, for nodes and commands.

Every failure is one of strew.errors: nobody there or too slow is UnavailableError, refused proof
DeniedError, an unknown thing NotFoundError, and an answer that no tracker gives (HTML, a redirect,
a body over its limit) ProtocolError. What comes back is checked: manifests against their id,
handouts for addresses that are no machine's.
"""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Protocol, TypeVar

import aiohttp
import msgspec
from aiohttp import hdrs
from aiohttp.http_exceptions import HttpProcessingError

from strew.announce.address import dialable_handout
from strew.announce.protocol import (
    CONTROL_BODY_BYTES_MAX,
    HANDOUT_BYTES_MAX,
    Announce,
    Handout,
    decode_handout,
    decoded,
    encode,
)
from strew.certificates.refusals import refusal
from strew.content.digest import ArtifactId, artifact_id_of
from strew.content.manifest import MANIFEST_BYTES_MAX
from strew.content.reference import Address, Name
from strew.errors import IntegrityError, ProtocolError, UnavailableError
from strew.fleet import FleetKey
from strew.messages import PeerId
from strew.publication import Publication, Signature
from strew.telemetry.protocol import Telemetry, TelemetryWanted, encode_telemetry
from strew.telemetry.recording import Recording, decode_recording
from strew.telemetry.report import Report
from strew.telemetry.view import BoardView, TransferSummary
from strew.tracker.feed import HEARTBEAT_S
from strew.tracker.location import PORT, REFERRED, Referral, referral_in
from strew.tracker.problem import error_of_answer
from strew.tracker.reporting import RECORDING
from strew.tracker.reports import (
    ArtifactReport,
    MachineView,
    NodeReport,
    PublishRequest,
    SwarmReport,
)
from strew.trust import dsse

CONNECT_WITHIN_S = 5.0
"""Time for a connection. Lower: a lost SYN (repeated after 1 and 3 s) is fatal."""

ANSWER_WITHIN_S = 10.0
"""Time for a whole control exchange, as strew.announce.announcer counts on."""

MANIFEST_WITHIN_S = 60.0
"""Time for a manifest: 16 MiB over 3 Mbit/s."""

MANIFEST_SILENCE_S = 5.0
"""So long without a byte of it ends the wait: a machine that stands still accepts connections, too,
and others have the manifest."""

ENVELOPE_BYTES_MAX = MANIFEST_BYTES_MAX * 4 // 3 + (64 << 10)
"""Largest envelope: a manifest in base64, and signatures."""

LISTING_BYTES_MAX = 16 << 20
"""Largest listing: 20,000 nodes of a swarm at 500 bytes are 10 MB."""

PEM = "application/x-pem-file"

STREAM_SILENCE_S = 3 * HEARTBEAT_S
"""A stream silent for so long, heartbeats and all, is dead."""

EVENT_BYTES_MAX = 64 << 10
"""Largest event; ours have under 2 kB, those of boards 48 kB (strew.telemetry.changes)."""

_T = TypeVar("_T")


class FeedEvent(msgspec.Struct, frozen=True):
    """One event of the stream. `kind` is `open`, `publication`, `swarm` or `board`; `data` is JSON:
    {"resumed": bool}, strew.tracker.reports.PublicationEvent, strew.tracker.reports.SwarmSummary,
    strew.telemetry.view.BoardChange.
    """

    id: str
    kind: str
    data: bytes


class Tls(Protocol):
    """How a client of profile strict connects; the context may be another one each time."""

    @property
    def context(self) -> ssl.SSLContext: ...


class TrackerClient:
    """Speaks to one tracker at `address`, over TLS if `tls` says how. The session is the caller's,
    who must close it.

    With a `token` it publishes as that token's holder; without a `key` it does all as such.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        address: Address,
        key: FleetKey | None,
        token: str = "",
        *,
        tls: Tls | None = None,
    ) -> None:
        self._session = session
        self._tls = tls
        self._base = f"{'http' if tls is None else 'https'}://{address}"
        self._node = _bearer(key.node_token() if key is not None else token)
        self._publisher = _bearer(token or (key.publish_token() if key is not None else ""))
        self.address = address

    async def announce(self, announce: Announce) -> Handout:
        """Announce, and get a handout without oneself and without undialable addresses."""
        body = await self._asked(
            "POST",
            "/api/v1/announce",
            self._node,
            data=encode(announce),
            limit_bytes=HANDOUT_BYTES_MAX,
        )
        return dialable_handout(decode_handout(body), announce.node)

    async def telemetry(self, telemetry: Telemetry) -> TelemetryWanted:
        """Tell what this node's transfers do; the answer says when to tell it again."""
        body = await self._asked(
            "POST", "/api/v1/telemetry", self._node, data=encode_telemetry(telemetry)
        )
        return self._decoded(body, TelemetryWanted)

    async def certificate(self, request: bytes) -> bytes:
        """A new certificate for the one this client shows; both PEM. NotFoundError where none are
        issued."""
        return await self._asked(
            "POST", "/api/v1/certificates", self._node, data=request, content_type=PEM
        )

    async def resolve(self, name: Name) -> Publication:
        """What NAME:TAG names. NotFoundError."""
        told = await self._listed(f"/api/v1/names/{name.name}/{name.tag}", Publication)
        if told.reference != str(name):
            raise ProtocolError(
                f"tracker {self.address} was asked for {name} and told of {told.reference!a}"
            )
        return told

    async def names(self) -> list[Publication]:
        """All names, oldest publication first."""
        return await self._listed("/api/v1/names", list[Publication])

    async def artifacts(self) -> list[ArtifactReport]:
        """All artifacts, oldest first."""
        return await self._listed("/api/v1/artifacts", list[ArtifactReport])

    async def artifact(self, artifact: ArtifactId) -> ArtifactReport:
        """One artifact. NotFoundError."""
        return await self._listed(f"/api/v1/artifacts/{artifact}", ArtifactReport)

    async def swarm(self, artifact: ArtifactId) -> SwarmReport:
        """Who has how much of an artifact. NotFoundError."""
        return await self._listed(f"/api/v1/swarms/{artifact}", SwarmReport)

    async def board(self, artifact: ArtifactId) -> BoardView:
        """All that is shown of a transfer; `events` go on from its `event_id`. NotFoundError, also
        of a process that keeps no boards."""
        return await self._listed(f"/api/v1/swarms/{artifact}/board", BoardView)

    async def transfers(self) -> list[TransferSummary]:
        """Transfers that run or ended, newest first."""
        return await self._listed("/api/v1/transfers", list[TransferSummary])

    async def machine(self, node: PeerId) -> MachineView:
        """One machine: its transfers, neighbours, bans and events. NotFoundError."""
        return await self._listed(f"/api/v1/nodes/{node}", MachineView)

    async def report(self, artifact: ArtifactId) -> Report:
        """Where the time of the last transfer of an artifact went. NotFoundError."""
        return await self._listed(f"/api/v1/swarms/{artifact}/report", Report)

    async def recording(self, artifact: ArtifactId) -> Recording:
        """What that report is made of. NotFoundError."""
        path = f"/api/v1/swarms/{artifact}/report?{RECORDING}=1"
        body = await self._asked("GET", path, self._node, limit_bytes=LISTING_BYTES_MAX)
        return decode_recording(body)

    async def nodes(self) -> list[NodeReport]:
        """All nodes whose lease runs."""
        return await self._listed("/api/v1/nodes", list[NodeReport])

    async def manifest(self, artifact: ArtifactId) -> bytes:
        """The exact bytes of a manifest, checked against its id. NotFoundError, IntegrityError."""
        return await self._manifest(artifact, f"/api/v1/artifacts/{artifact}/manifest")

    async def seek_manifest(self, artifact: ArtifactId, port: int) -> bytes | Address:
        """The same for one of a crowd, which can be asked for it at `port`: or the address of
        another one, who has it or will have it soon (strew.announce.referral)."""
        path = f"/api/v1/artifacts/{artifact}/manifest?{PORT}={port}"
        try:
            return await self._manifest(artifact, path)
        except Referral as referral:
            return referral.address

    async def _manifest(
        self, artifact: ArtifactId, path: str, silence_s: float = MANIFEST_SILENCE_S
    ) -> bytes:
        raw = await self._asked(
            "GET",
            path,
            self._node,
            limit_bytes=MANIFEST_BYTES_MAX,
            content_type="application/octet-stream",
            within_s=MANIFEST_WITHIN_S,
            silence_s=silence_s,
        )
        if artifact_id_of(raw) != artifact:
            raise IntegrityError(f"tracker {self.address} gave other bytes for {artifact}")
        return raw

    async def envelope(self, artifact: ArtifactId, query: str = "") -> dsse.Opened:
        """The signed manifest, with the right bytes in it; whose signatures they are is for the
        caller to check. NotFoundError, IntegrityError."""
        body = await self._asked(
            "GET",
            f"/api/v1/artifacts/{artifact}/envelope{query}",
            self._node,
            limit_bytes=ENVELOPE_BYTES_MAX,
            within_s=MANIFEST_WITHIN_S,
            silence_s=MANIFEST_SILENCE_S,
        )
        opened = dsse.open_envelope(body)
        if opened.kind != dsse.MANIFEST_TYPE or artifact_id_of(opened.payload) != artifact:
            raise IntegrityError(f"tracker {self.address} gave another envelope for {artifact}")
        return opened

    async def put_manifest(self, artifact: ArtifactId, raw: bytes) -> None:
        """Upload a manifest; does nothing if it is known."""
        path = f"/api/v1/artifacts/{artifact}/manifest"
        await self._asked("PUT", path, self._publisher, data=raw, within_s=MANIFEST_WITHIN_S)

    async def publish(self, name: Name, artifact: ArtifactId) -> Publication:
        """Give an artifact a name, signed by the process asked. UnavailableError while that does
        not know the manifest or a live node that holds all of it: announce that, then ask again."""
        return await self._publish(name, PublishRequest(artifact))

    async def draft(self, name: Name, artifact: ArtifactId) -> Publication:
        """What `publish` would give now, unsigned, for whoever signs it and hands it in."""
        return await self._publish(name, PublishRequest(artifact, draft=True))

    async def hand_in(
        self, name: Name, record: Publication, manifest_signatures: tuple[Signature, ...]
    ) -> Publication:
        """Give a name as signed here. DeniedError if the process asked trusts none of the keys;
        UnavailableError as `publish`, and if another name was given since the draft."""
        asked = PublishRequest(
            record.artifact, record=record, manifest_signatures=manifest_signatures
        )
        return await self._publish(name, asked)

    async def _publish(self, name: Name, asked: PublishRequest) -> Publication:
        path = f"/api/v1/names/{name.name}/{name.tag}"
        body = await self._asked("PUT", path, self._publisher, data=msgspec.json.encode(asked))
        return self._decoded(body, Publication)

    async def events(
        self, *, kinds: tuple[str, ...] = (), artifact: str = "", last_event_id: str = ""
    ) -> AsyncGenerator[FeedEvent, None]:
        """The tracker's events until the connection ends, which is always an UnavailableError. With
        `artifact` those of boards and swarms are of that one alone.

        The first is `open`: only then is nothing missed any more, so announce after it. To go on
        after a break, pass the last event's id; unless `open` then says `resumed`, something may
        have been missed.
        """
        headers = dict(self._node)
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_WITHIN_S, sock_read=STREAM_SILENCE_S
        )
        query = {"kinds": ",".join(kinds), "artifact": artifact}
        asked = "&".join(f"{name}={value}" for name, value in query.items() if value)
        path = "/api/v1/events" + (f"?{asked}" if asked else "")
        async with (
            self._answer("GET", path, headers, None, timeout, "text/event-stream") as answer,
            aclosing(_events_in(answer.content)) as events,
        ):
            async for event in events:
                yield event
        raise UnavailableError(f"tracker {self.address} ended the event stream")

    async def _listed(self, path: str, kind: type[_T]) -> _T:
        body = await self._asked("GET", path, self._node, limit_bytes=LISTING_BYTES_MAX)
        return self._decoded(body, kind)

    def _decoded(self, body: bytes, kind: type[_T]) -> _T:
        return decoded(body, msgspec.json.Decoder(kind), f"answer of tracker {self.address}")

    async def _asked(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        *,
        data: bytes | None = None,
        limit_bytes: int = CONTROL_BODY_BYTES_MAX,
        content_type: str = "application/json",
        within_s: float = ANSWER_WITHIN_S,
        silence_s: float | None = None,
    ) -> bytes:
        """One exchange; the answer's body. It fails after `silence_s` in which nothing came, a
        connection or a byte: for requests with a short body only, as nothing comes while one is
        sent."""
        timeout = aiohttp.ClientTimeout(
            total=within_s,
            sock_connect=min(silence_s or CONNECT_WITHIN_S, CONNECT_WITHIN_S),
            sock_read=silence_s,
        )
        async with self._answer(method, path, headers, data, timeout, content_type) as answer:
            return await self._body(answer, limit_bytes)

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        data: bytes | None,
        timeout: aiohttp.ClientTimeout,
        content_type: str,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The good answer to a request; errors of the exchange in strew's words, also those that
        come up while the body of this context reads it."""
        try:
            async with self._session.request(
                method,
                self._base + path,
                headers=headers,
                data=data,
                timeout=timeout,
                allow_redirects=False,
                ssl=True if self._tls is None else self._tls.context,
            ) as answer:
                await self._check(answer, content_type)
                yield answer
        except TimeoutError:
            raise UnavailableError(
                f"tracker {self.address} did not answer in time", hint="try again"
            ) from None
        except (aiohttp.ClientConnectionError, OSError) as error:
            refused = refusal(error, f"tracker {self.address}")
            if refused is not None:
                raise refused from None
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise UnavailableError(
                f"tracker {self.address} cannot be reached: {reason}",
                hint="is `strew serve` running there?",
            ) from None
        except aiohttp.ClientPayloadError:
            raise UnavailableError(f"tracker {self.address} broke off its answer") from None
        except (aiohttp.ClientError, HttpProcessingError, ValueError) as error:
            # The last two: aiohttp's stream reader on a line over its limit, by its version.
            raise ProtocolError(
                f"{self.address} does not answer as a tracker does: {type(error).__name__}"
            ) from None

    async def _check(self, answer: aiohttp.ClientResponse, content_type: str) -> None:
        """Let a good answer of the right kind pass; raise what any other means."""
        whence = f"tracker {self.address}"
        if answer.status >= 400:
            body = await self._body(answer, CONTROL_BODY_BYTES_MAX)
            raise error_of_answer(answer.status, body, whence=whence)
        if answer.status == REFERRED:
            raise referral_in(answer.headers.get(hdrs.LOCATION, ""), whence)
        if not 200 <= answer.status < 300 or answer.content_type != content_type:
            raise ProtocolError(
                f"{whence} answered {answer.status} {answer.content_type!a}",
                hint="is it a tracker, and nothing in between?",
            )

    async def _body(self, answer: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
        pieces: list[bytes] = []
        size_bytes = 0
        async for piece in answer.content.iter_any():
            size_bytes += len(piece)
            if size_bytes > limit_bytes:
                raise ProtocolError(
                    f"tracker {self.address} sent more than {limit_bytes} bytes for an answer"
                )
            pieces.append(piece)
        return b"".join(pieces)


def _bearer(token: str) -> dict[str, str]:
    return {hdrs.AUTHORIZATION: f"Bearer {token}"} if token else {}


async def _events_in(stream: aiohttp.StreamReader) -> AsyncGenerator[FeedEvent, None]:
    """Parse server-sent events, of which ours have one data line."""
    fields: dict[str, str] = {}
    size_bytes = 0
    while line := await stream.readline():
        size_bytes += len(line)
        if size_bytes > EVENT_BYTES_MAX:
            raise ProtocolError(f"the tracker sent an event of more than {EVENT_BYTES_MAX} bytes")
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if text:
            name, _, value = text.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "data" in fields:
            yield FeedEvent(fields.get("id", ""), fields.get("event", ""), fields["data"].encode())
        fields, size_bytes = {}, 0
