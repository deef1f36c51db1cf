"""How commands reach a tracker or a node, and what a reference names there."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

import aiohttp
import msgspec

from strew.agent.client import HOST_HEADER, NodeClient
from strew.agent.quantity import format_duration, parse_duration
from strew.agent.securing import Security, Tls
from strew.agent.settings import Settings
from strew.agent.trusting import Trusting, open_trusting, trusting_of
from strew.cli.fleetkey import fleet_key, is_loopback
from strew.content.digest import ArtifactId
from strew.content.reference import Address, Link, Name, Reference
from strew.errors import DeadlineExceededError, IntegrityError, UsageError
from strew.fleet import FleetKey
from strew.publication import Publication
from strew.tracker.token_client import TokenClient


class Found(NamedTuple):
    """What a reference names. `reference` is NAME:TAG, or empty for a bare artifact id."""

    artifact: ArtifactId
    reference: str
    publication: Publication | None

    @property
    def shown(self) -> str:
        """How to call it in one word."""
        return self.reference or f"{self.artifact[:19]}…"


def tracker_of(settings: Settings, reference: Reference | None) -> Address:
    """Whom to ask: the host of a link, else what --at says."""
    return reference.address if isinstance(reference, Link) else settings.at


@asynccontextmanager
async def connected(
    settings: Settings, reference: Reference | None = None
) -> AsyncIterator[NodeClient]:
    """A client of the process to ask about `reference`, which publishes with --token if there is
    one; ConfigurationError without a key."""
    address = tracker_of(settings, reference)
    key = fleet_key(settings, address)
    async with connected_to(settings, address, key, settings.token or "") as client:
        yield client


@asynccontextmanager
async def connected_to(
    settings: Settings, address: Address, key: FleetKey, token: str = ""
) -> AsyncIterator[NodeClient]:
    """A client of the process at `address`; ConfigurationError without what the profile needs."""
    async with aiohttp.ClientSession(headers=HOST_HEADER) as session:
        yield NodeClient(session, address, key, token, tls=_tls(settings))


@asynccontextmanager
async def connected_by_token(
    settings: Settings, address: Address, token: str = ""
) -> AsyncIterator[TokenClient]:
    """A client of the process at `address`, as the holder of a token, or to join."""
    async with aiohttp.ClientSession(headers=HOST_HEADER) as session:
        yield TokenClient(session, address, token, tls=_tls(settings))


def _tls(settings: Settings) -> Tls | None:
    security = Security.of(settings)
    return security.for_named if security is not None else None


async def resolve(
    client: NodeClient, reference: Reference, trusting: Trusting | None = None
) -> Found:
    """Find what a reference names. With `trusting` only a name that is believed counts, and no
    older one will from then on: for whoever goes by it. NotFoundError, UnavailableError,
    DeniedError; IntegrityError if the name is not believed."""
    if isinstance(reference, Name | Link):
        name = reference.name if isinstance(reference, Link) else reference
        publication = await client.resolve(name)
        if publication.reference != str(name):
            raise IntegrityError(f"{client.address} answered with {publication.reference}")
        if trusting is not None:
            await asyncio.to_thread(trusting.require, publication, time.time())
        return Found(publication.artifact, publication.reference, publication)
    return Found(reference, "", None)


def listen_towards(address: Address) -> Address:
    """Where a command that lives for one transfer listens: any free port, no further than needed.

    Peers on this machine reach it over loopback; for all others it takes every network card.
    """
    if is_loopback(address):
        return Address("::1" if address.host == "::1" else "127.0.0.1", 0)
    return Address("::" if ":" in address.host else "0.0.0.0", 0)


@contextmanager
def believing(settings: Settings, key: FleetKey) -> Iterator[Trusting]:
    """Whom a command believes; what it took is remembered where there is a folder for that."""
    if settings.data is None:
        yield trusting_of(settings, key)
        return
    with open_trusting(settings, key, settings.data) as trusting:
        yield trusting


def looking(settings: Settings, key: FleetKey) -> Trusting:
    """The same for who only shows what is signed by whom, and takes nothing: in the profile strict
    it may trust nobody."""
    return trusting_of(msgspec.structs.replace(settings, profile="lab"), key)


@asynccontextmanager
async def deadline(text: str | None) -> AsyncIterator[None]:
    """Ends what is inside with DeadlineExceededError after the duration of --deadline, if given."""
    if text is None:
        yield
        return
    try:
        within_s = parse_duration(text)
    except UsageError as error:
        raise UsageError(f"--deadline: {error.message}", hint=error.hint) from None
    try:
        async with asyncio.timeout(within_s) as scope:
            yield
    except TimeoutError:
        if not scope.expired():
            raise
        raise DeadlineExceededError(
            f"not done within {format_duration(within_s)}",
            hint="run the same command again to go on, or give a longer --deadline",
        ) from None
