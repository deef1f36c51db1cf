"""The agent's conversations with trackers: announces, the stream of publications, manifests."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

import msgspec
import structlog

from strew.agent.client import NodeClient
from strew.agent.pinning import Pins
from strew.announce.address import is_loopback
from strew.announce.announcer import AnnounceAnswered, AnnounceFailed, Nudge, SendAnnounce
from strew.announce.protocol import decoded
from strew.announce.reference import follows
from strew.announce.referral import REFERRED_WITHIN_S
from strew.content.reference import Address
from strew.errors import (
    DeniedError,
    NotFoundError,
    ProtocolError,
    StrewError,
    UnavailableError,
)
from strew.messages import swarm_key_of
from strew.node import Published, PublishedHere
from strew.tracker.client import FeedEvent, TrackerClient
from strew.tracker.reports import PublicationEvent

if TYPE_CHECKING:
    from strew.agent.agent import Agent
    from strew.agent.transfer import Transfer

STREAM_RETRY_FIRST_S = 0.5
STREAM_RETRY_MAX_S = 15.0
"""Waits before the stream of a tracker that went away is opened again, doubled each time."""

FAREWELL_S = 1.0
"""How long a stopping node waits for its last announce: the lease ends by itself otherwise."""

MANIFEST_ROUNDS = 20
MANIFEST_RETRY_S = 0.5
"""A manifest nobody has is asked for again so often: whoever published it may be on its way."""

PEERS_ASKED_MAX = 3
"""Peers asked for a manifest before the tracker, in a fleet so large that all asking it hurts."""

LARGE_FLEET = 32

_log = structlog.get_logger(__name__)
_event_decoder = msgspec.json.Decoder(PublicationEvent)


class Trackers:
    """All configured trackers. With `announces` false they are asked and never told of us."""

    def __init__(
        self, agent: Agent, addresses: tuple[tuple[str, int], ...], announces: bool
    ) -> None:
        self._agent = agent
        self._addresses = tuple(Address(*address) for address in addresses)
        self._announces = announces
        self._own: Address | None = None
        self._pins: Pins | None = None
        self._clients: dict[str, TrackerClient] = {}
        self._farewell: asyncio.Task[None] | None = None
        self._denied_by: set[str] = set()
        self._admitted = False
        self.answering: str | None = None
        """The tracker that answered the last announce; None before any has."""
        self.refused: asyncio.Future[DeniedError] = asyncio.get_running_loop().create_future()
        """Set when all trackers have denied this node before any ever admitted it."""

    def add(self, address: tuple[str, int]) -> None:
        """The tracker in this very process, known once its port is open; before `start`."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])
        self._own = Address(host, address[1])
        self._addresses = (self._own, *self._addresses)
        self._pins = Pins(self._agent.store)

    @property
    def names(self) -> tuple[str, ...]:
        """The trackers to announce to, as HOST:PORT."""
        return tuple(str(address) for address in self._addresses) if self._announces else ()

    def client(self, name: str) -> TrackerClient:
        """The client of one tracker."""
        client = self._clients.get(name)
        if client is None:
            assert self._agent.session is not None
            address = next(a for a in self._addresses if str(a) == name)
            agent = self._agent
            # nobody stands between a process and itself, whatever address it finds itself at
            tls = agent.tls_met if address == self._own else agent.tls_named
            client = TrackerClient(self._agent.session, address, agent.key, tls=tls)
            self._clients[name] = client
        return client

    def start(self) -> None:
        """Listen to every tracker."""
        for name in self.names:
            self._agent.spawn(self._listen(name))

    async def stop(self) -> None:
        if self._farewell is not None:
            await asyncio.wait({self._farewell}, timeout=FAREWELL_S)

    # --- announces -------------------------------------------------------------------------------

    def announce(self, action: SendAnnounce) -> None:
        task = self._agent.spawn(self._announce(action))
        if action.announce.leaving:
            self._farewell = task

    async def _announce(self, action: SendAnnounce) -> None:
        try:
            handout = await self.client(action.tracker).announce(action.announce)
        except StrewError as error:
            # a node that is joined by is no tracker, and says so: gossip does not need it
            tell = _log.debug if isinstance(error, NotFoundError) else _log.info
            tell("announce failed", tracker=action.tracker, reason=error.message)
            self._agent.tell(AnnounceFailed(action.tracker, error.message))
            if isinstance(error, DeniedError):
                self._denied(action.tracker, error)
        else:
            self._admitted = True
            self.answering = action.tracker
            self._agent.tell(AnnounceAnswered(action.tracker, handout))

    def _denied(self, tracker: str, error: DeniedError) -> None:
        self._denied_by.add(tracker)
        by_all = self._denied_by.issuperset(self.names)
        if by_all and not self._admitted and not self.refused.done():
            self.refused.set_result(error)

    async def _listen(self, name: str) -> None:
        """Nudge the node whenever the tracker's catalogue moves, for ever."""
        wait_s = STREAM_RETRY_FIRST_S
        last = ""
        while True:
            heard = False
            try:
                stream = self.client(name).events(kinds=("publication",), last_event_id=last)
                async with contextlib.aclosing(stream) as events:
                    async for event in events:
                        self._heard(event)
                        last = event.id or last
                        heard = True
            except NotFoundError:
                wait_s = STREAM_RETRY_MAX_S  # a node, no tracker; one may be started in its place
            except StrewError as error:
                _log.info("event stream ended", tracker=name, reason=error.message)
                if heard and not isinstance(error, ProtocolError):
                    wait_s = STREAM_RETRY_FIRST_S
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(2.0 * wait_s, STREAM_RETRY_MAX_S)

    def _heard(self, event: FeedEvent) -> None:
        """The stream has (again) begun, or something was published: perhaps announce."""
        agent = self._agent
        if event.kind == "open":
            agent.tell(Nudge())
            if self._pins is not None:
                agent.spawn(self._learn_names(self._pins))
        elif event.kind == "publication":
            news = decoded(event.data, _event_decoder, "event of a tracker")
            published = news.publication
            if self._pins is not None:
                self._pins.heard(published)
            if swarm_key_of(published.artifact) in agent.manifests:
                agent.tell(PublishedHere(published))
                agent.tell(Nudge(news.spread_s))
            elif follows(agent.settings.follow, published.reference):
                agent.tell(Published(published, news.spread_s))

    async def _learn_names(self, pins: Pins) -> None:
        """What was named before this process listened."""
        with contextlib.suppress(StrewError):  # the stream will open again
            for publication in await self.client(self.names[0]).names():
                pins.heard(publication)

    # --- certificates ----------------------------------------------------------------------------

    async def certificate(self, request: bytes) -> bytes:
        """A new certificate from the first tracker that issues them. The last one's StrewError."""
        last: StrewError = NotFoundError(
            "no tracker is known that issues certificates",
            hint="issue it by hand: strew key issue NAME --ca DIR",
        )
        for name in self.names:
            try:
                return await self.client(name).certificate(request)
            except StrewError as error:
                last = error
        raise last

    # --- manifests -------------------------------------------------------------------------------

    async def manifest(self, transfer: Transfer) -> bytes:
        """The exact bytes of a transfer's manifest, from whoever has it first.

        The last refusal if nobody gives it for a while; DeniedError at once if all deny.
        """
        last: StrewError = UnavailableError(
            f"no tracker or peer is known that has the manifest of {transfer.artifact}",
            hint="name one with --at or --join",
        )
        for attempt in range(MANIFEST_ROUNDS):
            holders = self.holders(transfer)
            denials = 0
            for client in holders:
                try:
                    return await self._manifest_from(client, transfer)
                except DeniedError as error:
                    last = error
                    denials += 1
                except StrewError as error:
                    last = error  # whatever ails this one does not keep us from others
            if holders and denials == len(holders):
                break
            if attempt and not self._addresses and not transfer.sources:
                break
            await asyncio.sleep(MANIFEST_RETRY_S)
        raise last

    async def _manifest_from(self, client: TrackerClient, transfer: Transfer) -> bytes:
        """From this one, or from whom it refers to; if that one does not give it, from this one all
        the same."""
        agent, artifact = self._agent, transfer.artifact
        assert agent.session is not None
        hidden = is_loopback(agent.settings.listen.host) and not is_loopback(client.address.host)
        if hidden or transfer.only_sources:
            return await client.manifest(artifact)
        got = await client.seek_manifest(artifact, agent.port.port)
        if isinstance(got, bytes):
            return got
        other = NodeClient(agent.session, got, agent.key, tls=agent.tls_met)
        try:
            return await other.held_manifest(artifact, REFERRED_WITHIN_S)
        except StrewError as error:
            _log.debug("referred in vain", to=str(got), reason=error.message)
        return await client.manifest(artifact)

    @property
    def fleet_size(self) -> int:
        """How many nodes are known to this one, at least."""
        node = self._agent.node
        return node.gossip.living if node is not None and node.gossip is not None else 0

    def holders(self, transfer: Transfer) -> list[TrackerClient]:
        """Whom to ask: the user's sources and the trackers; in a large fleet some peers first."""
        agent = self._agent
        assert agent.session is not None and agent.node is not None
        session = agent.session
        trackers = [self.client(str(address)) for address in self._addresses]
        first = (*transfer.sources, *((transfer.holder,) if transfer.holder else ()))
        tls = agent.tls_met
        sources = [TrackerClient(session, Address(*a), agent.key, tls=tls) for a in first]
        if transfer.only_sources:
            return sources
        known = agent.node.book.known.get(swarm_key_of(transfer.artifact), {})
        peers = [Address(p.host, p.port) for p in known.values() if not p.failures]
        asked = random.sample(peers, min(PEERS_ASKED_MAX, len(peers)))
        clients = [TrackerClient(session, address, agent.key, tls=tls) for address in asked]
        if len(peers) > LARGE_FLEET:
            return [*sources, *clients, *trackers]
        return [*sources, *trackers, *clients]
