"""Whether other machines reach this one, and it them: what `strew doctor` has others look at.

Each process named by --join is asked to dial back. Where no node runs on this machine's port,
doctor listens there itself for that long; where one does, that one is dialled.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

from strew import __version__
from strew.agent.client import NodeClient
from strew.agent.probing import PADDING_CHARS_MAX, ProbeReport, ProbeRequest, probe_datagram
from strew.agent.settings import Settings
from strew.cli.checkup import CLOCK_SKEW_MAX_S, Finding
from strew.cli.connection import connected_to
from strew.cli.fleetkey import fleet_key
from strew.content.reference import Address
from strew.errors import ConfigurationError, DeniedError, NotFoundError, StrewError
from strew.fleet import FleetKey

ASKED_MAX: Final = 4
"""Processes asked: what four say, a fifth would say too."""

PATH_WITHIN_S: Final = 4.0
"""For a question and an answer of ten full packets each: a path that drops such packets gives none
for a minute."""


def reaching(settings: Settings) -> Iterator[Finding]:
    """Ask up to ASKED_MAX of those named by --join."""
    for address in settings.join[:ASKED_MAX]:
        try:
            key = fleet_key(settings, address)
        except ConfigurationError:
            return  # without a key nothing can be asked; that is a finding of its own
        yield from asyncio.run(_look(settings, address, key))


async def _look(settings: Settings, address: Address, key: FleetKey) -> list[Finding]:
    """All that one process can say; nothing if it cannot be reached, which is told already."""
    try:
        async with connected_to(settings, address, key) as client:
            async with _listening(settings.listen) as ear:
                started_s = time.time()
                asked = ProbeRequest(port=ear.port, nonce=ear.nonce)
                told = await client.probe(asked)
                ended_s = time.time()
            return [
                _version(address, told),
                _skew(address, told, started_s, ended_s),
                *_reached(address, told, ear),
                await _path(address, client),
            ]
    except NotFoundError:
        remedy = "update it; then it can say whether this machine is reached"
        return [Finding("reached", "warning", f"{address} is older and dials nobody back", remedy)]
    except DeniedError as error:
        return [Finding("fleet key", "failed", error.message, error.hint or "use the fleet's key")]
    except (StrewError, OSError):
        return []


class _Ear(asyncio.DatagramProtocol):
    """Who listens on this machine's port while it is dialled. `stranger`: another process does."""

    def __init__(self) -> None:
        self.port = 0
        self.stranger = False
        self.nonce = secrets.token_hex(16)
        self.heard = False
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if data == probe_datagram(self.nonce) and self._transport is not None:
            self.heard = True
            self._transport.sendto(data, addr)


@asynccontextmanager
async def _listening(address: Address) -> AsyncIterator[_Ear]:
    """Listen where a node would, for TCP and UDP; where one does, it is to be dialled."""
    ear = _Ear()
    loop = asyncio.get_running_loop()
    try:
        server = await asyncio.start_server(lambda _, writer: writer.close(), *address)
    except OSError:
        ear.port, ear.stranger = address.port, True
        yield ear
        return
    async with server:
        ear.port = server.sockets[0].getsockname()[1]
        transport = None
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: ear, local_addr=(address.host, ear.port)
            )
        except OSError:
            pass  # that the port is taken for UDP is a finding of the check of ports
        try:
            yield ear
        finally:
            if transport is not None:
                transport.close()


def _version(address: Address, told: ProbeReport) -> Finding:
    if told.version == __version__:
        return Finding("version", "ok", f"{address} runs {told.version} too")
    remedy = "update serve first, then the nodes, so that all run one version"
    detail = f"{address} runs {told.version[:40]!a}, this is {__version__}"
    return Finding("version", "warning", detail, remedy)


def _skew(address: Address, told: ProbeReport, started_s: float, ended_s: float) -> Finding:
    """How far its clock is from ours: by no more than what lies outside of question and answer."""
    skew_s = max(started_s - told.at_s, told.at_s - ended_s, 0.0)
    if skew_s <= CLOCK_SKEW_MAX_S:
        return Finding("clock skew", "ok", f"{address} and this machine differ by {skew_s:.1f} s")
    remedy = (
        "set both clocks, for example with NTP: versions of names and the life of tokens go by it"
    )
    detail = f"{address} and this machine differ by {skew_s:.0f} s"
    return Finding("clock skew", "warning", detail, remedy)


def _reached(address: Address, told: ProbeReport, ear: _Ear) -> Iterator[Finding]:
    """Whether the port is open to that machine, by TCP and by UDP."""
    where = f"{told.host[:64]} port {ear.port}"
    if told.tcp:
        yield Finding("reached", "ok", f"{address} connects to {where}")
    else:
        remedy = (
            f"open TCP port {ear.port} of this machine for the fleet, and give --listen an address "
            "that others reach; else all it gives goes over links it opened itself"
        )
        detail = f"{address} cannot connect to {where}: {told.reason[:80]!a}"
        yield Finding("reached", "failed", detail, remedy)
    if ear.stranger:
        return  # the node that runs here does not send datagrams back; its members tell of UDP
    if told.udp:
        yield Finding("reached udp", "ok", f"datagrams pass between {address} and {where}")
    else:
        what = "arrive and do not come back" if ear.heard else "do not arrive"
        remedy = f"open UDP port {ear.port} both ways: without, members call this machine dead"
        detail = f"datagrams of {address} to {where} {what}"
        yield Finding("reached udp", "warning", detail, remedy)


async def _path(address: Address, client: NodeClient) -> Finding:
    """Whether full packets pass, both ways."""
    started_s = time.monotonic()
    try:
        async with asyncio.timeout(PATH_WITHIN_S):
            told = await client.probe(ProbeRequest(padding="." * PADDING_CHARS_MAX))
        came_bytes = len(told.padding)
    except (TimeoutError, StrewError):
        came_bytes = 0
    took_ms = (time.monotonic() - started_s) * 1000
    if came_bytes == PADDING_CHARS_MAX:
        detail = f"{came_bytes >> 10} KiB to {address} and back in {took_ms:.1f} ms"
        return Finding("path", "ok", detail)
    remedy = (
        "full packets are lost on the way: let ICMP 'fragmentation needed' through, or lower the "
        "MTU of this machine's network card (ip link set DEV mtu 1400)"
    )
    detail = f"short questions to {address} are answered, long ones are not"
    return Finding("path", "failed", detail, remedy)
