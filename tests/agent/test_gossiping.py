"""Agents among members: real ports on loopback, and the same reports as a tracker's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import generate_latest

from strew.agent.agent import PORT_TRIES, Agent
from strew.agent.client import HOST_HEADER, NodeClient
from strew.agent.gossiping import own_host
from strew.agent.process import open_agent, open_tracker, peer_id_in
from strew.agent.remembering import NAMES_FILE
from strew.content.reference import Address, parse_name
from strew.errors import ConfigurationError, NotFoundError, ProtocolError, UnavailableError
from strew.gossip.protocol import EXCHANGES_MAX, encode
from strew.messages import swarm_key_of
from strew.store.disk import DiskStore
from tests.agent.test_fetches import KEY, settings_in

WITHIN_S = 20.0
EVERY_S = 0.02


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():
            await asyncio.sleep(EVERY_S)


@asynccontextmanager
async def fleet(tmp_path: Path, nodes: int, by: Agent | None = None) -> AsyncIterator[list[Agent]]:
    """Agents that joined by the first of them, or all by another one, and know each other; nobody
    follows anything."""
    async with AsyncExitStack() as stack:
        agents: list[Agent] = []
        for number in range(nodes):
            folder = tmp_path / str(number)
            store = DiskStore(folder)
            stack.callback(store.close)
            first = by or (agents[0] if agents else None)
            seeds = (Address(*first.address),) if first else ()
            opened = open_agent(
                settings_in(folder),
                store,
                KEY,
                peer=peer_id_in(folder),
                announces=False,
                seeds=seeds,
            )
            agents.append(await stack.enter_async_context(opened))
        await until(lambda: all(living(agent) == nodes - (by is None) for agent in agents))
        yield agents


@asynccontextmanager
async def fleet_of_one(folder: Path) -> AsyncIterator[Agent]:
    """A member alone, with the identity that its folder has."""
    store = DiskStore(folder)
    settings = settings_in(folder)
    opened = open_agent(settings, store, KEY, peer=peer_id_in(folder), announces=False, seeds=())
    try:
        async with opened as agent:
            yield agent
    finally:
        store.close()


def living(agent: Agent) -> int:
    assert agent.node is not None and agent.node.gossip is not None
    return agent.node.gossip.living


@asynccontextmanager
async def client_of(agent: Agent) -> AsyncIterator[NodeClient]:
    async with aiohttp.ClientSession(headers=HOST_HEADER) as session:
        yield NodeClient(session, Address(*agent.address), KEY)


async def test_members_join_by_one_address_and_any_of_them_tells_who_is_there(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, 3) as agents, client_of(agents[2]) as client:
        told = {(node.host, node.port) for node in await client.nodes()}
        assert told == {agent.address for agent in agents}


async def test_a_name_given_at_one_member_is_known_at_all(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"strew" * 1000)
    async with fleet(tmp_path, 3) as agents, client_of(agents[2]) as last:
        manifest = agents[0].store.ingest(path)
        agents[0].fetches.seed(manifest, origin=True)
        async with client_of(agents[0]) as first:
            given = await first.publish(parse_name("app:1"), manifest.id)
            assert await first.publish(parse_name("app:1"), manifest.id) == given, "once"
        await until(lambda: agents[2].node.gossip.names())  # type: ignore[union-attr]
        assert await last.resolve(parse_name("app:1")) == given
        assert await last.names() == [given]
        report = await last.artifact(manifest.id)
        assert (report.references, report.size_bytes) == (("app:1",), 5000)
        gossip = agents[2].node.gossip  # type: ignore[union-attr]
        await until(lambda: gossip.holdings(swarm_key_of(manifest.id)))
        [node] = (await last.swarm(manifest.id)).nodes
        assert (node.origin, node.state, node.port) == (True, "seeding", agents[0].address[1])


async def test_versions_of_a_name_grow_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fleet(tmp_path, 1) as [agent], client_of(agent) as client:
        versions = []
        for number, now_s in enumerate((2e9, 1e9, 1e9)):
            monkeypatch.setattr("strew.agent.directory.time.time", lambda now_s=now_s: now_s)
            (tmp_path / f"{number}").with_suffix(".in").write_bytes(bytes([number]) * 1000)
            manifest = agent.store.ingest(tmp_path / f"{number}.in")
            agent.fetches.seed(manifest, origin=True)
            versions.append((await client.publish(parse_name("app:1"), manifest.id)).version)
        assert versions == [2 * 10**12, 2 * 10**12 + 1, 2 * 10**12 + 2]


async def test_what_is_not_here_is_given_no_name_and_what_nobody_knows_is_not_found(
    tmp_path: Path,
) -> None:
    unknown = "blake3:" + "7" * 64
    async with fleet(tmp_path, 1) as [agent], client_of(agent) as client:
        with pytest.raises(UnavailableError, match="is not here yet"):
            await client.publish(parse_name("app:1"), unknown)
        for ask in (client.artifact(unknown), client.swarm(unknown)):
            with pytest.raises(NotFoundError, match="nothing is known"):
                await ask
        with pytest.raises(NotFoundError, match="no artifact is named"):
            await client.resolve(parse_name("app:1"))


async def test_exchanges_have_limits_and_rubbish_is_refused(tmp_path: Path) -> None:
    async with fleet(tmp_path, 1) as [agent], client_of(agent) as client:
        with pytest.raises(ProtocolError, match="bad exchange"):
            await client.exchange(b"rubbish")
        gossiping = agent.gossiping
        assert gossiping is not None and agent.node is not None and agent.node.gossip is not None
        gossiping._asked |= dict.fromkeys(range(-EXCHANGES_MAX, 0), asyncio.Future())
        summary = agent.node.gossip._ledger.summary()
        with pytest.raises(UnavailableError, match="as many exchanges as it can"):
            await gossiping.asked(encode(summary), None)


async def test_a_process_without_gossip_has_no_exchange(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    async with (
        open_agent(settings_in(tmp_path), store, KEY, announces=False) as agent,
        client_of(agent) as client,
    ):
        with pytest.raises(NotFoundError, match="no part in gossip"):
            await client.exchange(b"")
        assert await client.names() == []
    store.close()


async def test_where_any_port_will_do_one_is_taken_that_udp_has_free_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    async with fleet(tmp_path, 1) as [agent]:
        assert agent.gossiping is not None
        listen = type(agent.gossiping.port).listen

        async def taken_twice(port: object, host: str, number: int) -> None:
            if len(refused) < 2:
                refused.append(number)
                raise ConfigurationError("taken")
            await listen(port, host, number)  # type: ignore[arg-type]

        monkeypatch.setattr(type(agent.gossiping.port), "listen", taken_twice)
        async with fleet(tmp_path / "second", 1) as [other]:
            assert other.gossiping is not None
            assert other.gossiping.port.port == other.address[1]
            assert len(refused) == 2 < PORT_TRIES


def test_the_own_address_is_the_one_listened_on_or_that_of_the_way_out() -> None:
    assert own_host(Address("10.1.2.3", 7301), ()) == "10.1.2.3"
    found = own_host(Address("0.0.0.0", 7301), (("127.0.0.1", 7301),))
    assert socket.inet_aton(found) and found != "0.0.0.0"


async def test_a_tracker_tells_of_names_that_were_given_at_nodes(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"strew" * 1000)
    folder, store = tmp_path / "tracker", DiskStore(tmp_path / "tracker")
    async with (
        open_tracker(folder, KEY) as tracker,
        open_agent(settings_in(folder), store, KEY, tracker=tracker, seeds=()) as served,
        fleet(tmp_path, 1, by=served) as [agent],
        client_of(agent) as node,
        client_of(served) as centre,
    ):
        manifest = agent.store.ingest(path)
        agent.fetches.seed(manifest, origin=True)
        given = await node.publish(parse_name("app:1"), manifest.id)
        await until(lambda: served.node.gossip.names())  # type: ignore[union-attr]
        assert await centre.resolve(parse_name("app:1")) == given
        assert await centre.names() == [given]
        assert (await centre.artifact(manifest.id)).references == ("app:1",)
        assert [of.artifact for of in await centre.artifacts()] == [manifest.id]
        key = swarm_key_of(manifest.id)
        await until(lambda: served.node.gossip.holdings(key))  # type: ignore[union-attr]
        assert await centre.manifest(manifest.id) == manifest.raw
        assert [of.origin for of in (await centre.swarm(manifest.id)).nodes] == [True]
        assert {of.port for of in await centre.nodes()} == {a.address[1] for a in (agent, served)}
        with pytest.raises(NotFoundError, match="no artifact is named"):
            await centre.resolve(parse_name("app:2"))
    store.close()


async def test_names_outlive_all_members(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"strew" * 1000)
    async with fleet(tmp_path, 2) as agents, client_of(agents[0]) as client:
        manifest = agents[0].store.ingest(path)
        agents[0].fetches.seed(manifest, origin=True)
        given = await client.publish(parse_name("app:1"), manifest.id)
        assert (tmp_path / "0" / NAMES_FILE).exists(), "before the publisher hears of it"
        await until(lambda: agents[1].node.gossip.names())  # type: ignore[union-attr]
    for number in ("0", "1"):
        async with fleet_of_one(tmp_path / number) as agent, client_of(agent) as client:
            assert await client.names() == [given]
            [named] = agent.node.gossip.names()  # type: ignore[union-attr]
            own = agent.identity.node == named.holders[0].id
            assert (named.holders[0].port == agent.address[1]) is own


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\x00", b"[[2, {}]]"])
async def test_names_that_cannot_be_read_do_not_keep_a_node_from_starting(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / NAMES_FILE).write_bytes(content)
    async with fleet_of_one(tmp_path) as agent, client_of(agent) as client:
        assert await client.names() == []
    assert (tmp_path / NAMES_FILE).read_bytes() == content, "left for whoever may mend it"


async def test_members_messages_and_lookups_are_counted(tmp_path: Path) -> None:
    async with fleet(tmp_path, 2) as [first, _]:

        def counted() -> dict[str, float]:
            lines = generate_latest(first.metrics.registry).decode().splitlines()
            return {
                name: float(of)
                for name, of in (line.rsplit(" ", 1) for line in lines if line[0] != "#")
            }

        await until(lambda: counted()['strew_gossip_messages_total{type="ping"}'])
        assert counted()['strew_members{state="alive"}'] == 1
        await until(lambda: counted()["strew_dht_lookup_seconds_count"])
        assert counted()["strew_dht_lookup_seconds_sum"] > 0
