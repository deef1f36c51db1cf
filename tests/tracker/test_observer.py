"""Telemetry in, boards and their events out, over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from strew.announce.protocol import Holding
from strew.content.bitfield import Bitfield
from strew.content.manifest import Manifest
from strew.content.reference import parse_name
from strew.errors import NotFoundError, ProtocolError, UnavailableError
from strew.messages import PeerId
from strew.telemetry.protocol import (
    BanTelemetry,
    Downlink,
    LinkTelemetry,
    NodeEvent,
    SwarmTelemetry,
    Telemetry,
)
from strew.telemetry.view import BoardChange, BoardView
from strew.tracker import observer as observers
from strew.tracker.client import FeedEvent
from strew.tracker.telemetry_pace import NEXT_MIN_S, TELEMETRY_COST_S, TELEMETRY_SHARE
from tests.announce.makers import peer_id
from tests.tracker.served import Served, manifest, served
from tests.tracker.test_service import announce

PATIENCE_S = 10.0


@pytest.fixture
async def on() -> AsyncIterator[Served]:
    async with served() as on:
        yield on


async def published(on: Served, *nodes: int) -> Manifest:
    """An artifact with the name app:1, an origin (node 1), and nodes that follow it."""
    made = manifest("app.bin")
    await on.client.put_manifest(made.id, made.raw)
    await on.client.announce(announce(1, whole(made)))
    for number in nodes:
        await on.client.announce(announce(number, follows=("app:*",)))
    await on.client.publish(parse_name("app:1"), made.id)
    return made


def whole(made: Manifest) -> Holding:
    return Holding(artifact=made.id, have_chunks=1, chunk_count=1, state="seeding", origin=True)


def swarm(made: Manifest, **fields: Any) -> SwarmTelemetry:
    values = {"have": Bitfield(1).to_wire(), "chunk_count": 1} | fields
    return SwarmTelemetry(artifact=made.id, **values)


def told(number: int, *swarms: SwarmTelemetry, **fields: Any) -> Telemetry:
    return Telemetry(node=peer_id(number), at_s=1.0, swarms=swarms, **fields)


async def until(true: Callable[[], Any], what: str) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        while not (found := true()):
            await asyncio.sleep(0.01)
    return found


async def test_a_board_shows_who_follows_and_what_each_told(on: Served) -> None:
    made = await published(on, 2, 3)
    have = Bitfield.full(1).to_wire()
    await on.client.telemetry(told(2, swarm(made, have=have, sources="2", neighbours=4)))
    board = await on.client.board(made.id)
    assert board.references == ["app:1"] and board.columns == 1
    rows = {row.id: row for row in board.machines}
    assert set(rows) == {peer_id(1), peer_id(2), peer_id(3)}
    assert rows[peer_id(1)].is_origin and rows[peer_id(1)].cells == "O"
    assert (rows[peer_id(2)].state, rows[peer_id(2)].cells) == ("fetching", ";")
    assert (rows[peer_id(3)].state, rows[peer_id(3)].cells) == ("waiting", "(")
    assert board.progress.total == 2 and board.progress.rarest is not None
    assert board.progress.rarest.copies == 2


async def test_events_go_on_where_the_board_ended(on: Served) -> None:
    made = await published(on, 2)
    board = await on.client.board(made.id)
    stream = on.client.events(kinds=("board",), artifact=made.id, last_event_id=str(board.event_id))
    assert (await anext(stream)).data == b'{"resumed":true}'
    await on.client.telemetry(told(2, swarm(made, have=Bitfield.full(1).to_wire())))
    row = next(n for n, of in enumerate(board.machines) if of.id == peer_id(2))
    cells: list[tuple[int, int, str]] = []
    fields: dict[str, Any] = {}
    async with asyncio.timeout(PATIENCE_S):
        while not cells:
            change = change_in(await anext(stream))
            cells += change.cells
            for number, changed in change.machines:
                assert number == row
                fields |= changed
    assert cells == [(row, 0, "E")]
    assert fields["state"] == "fetching" and fields["have_chunks"] == 1
    await stream.aclose()


def change_in(event: FeedEvent) -> BoardChange:
    assert event.kind == "board"
    return msgspec.json.decode(event.data, type=BoardChange)


async def test_who_left_while_nobody_looked_must_look_anew(on: Served) -> None:
    """Another onlooker took the whole board meanwhile: what was told with it is in no event."""
    made = await published(on, 2)
    first = await on.client.board(made.id)
    await on.client.telemetry(told(2, swarm(made, have=Bitfield.full(1).to_wire())))
    await on.client.board(made.id)
    stream = on.client.events(kinds=("board",), artifact=made.id, last_event_id=str(first.event_id))
    assert (await anext(stream)).data == b'{"resumed":false}'
    await stream.aclose()


async def test_a_machine_that_says_goodbye_is_gone_and_keeps_its_row(on: Served) -> None:
    made = await published(on, 2, 3)
    await on.client.telemetry(told(2, swarm(made)))
    before = await on.client.board(made.id)
    await on.client.announce(announce(2, leaving=True))
    after = await on.client.board(made.id)
    assert [row.id for row in after.machines] == [row.id for row in before.machines]
    (gone,) = [row for row in after.machines if row.state == "gone"]
    assert gone.id == peer_id(2) and after.progress.total == 1


async def test_telemetry_of_a_stranger_is_refused(on: Served) -> None:
    made = await published(on, 2)
    with pytest.raises(NotFoundError, match="has not announced"):
        await on.client.telemetry(told(9, swarm(made)))
    await on.client.announce(announce(3, host="10.0.0.3"))
    await on.client.telemetry(told(3, swarm(made)))  # it is on this machine, whatever it says


async def test_telemetry_that_fits_no_artifact_is_refused(on: Served) -> None:
    made = await published(on, 2)
    with pytest.raises(ProtocolError, match="2 chunks of an artifact of 1"):
        await on.client.telemetry(told(2, swarm(made, chunk_count=2)))
    with pytest.raises(ProtocolError, match="bitfield"):
        await on.client.telemetry(told(2, swarm(made, have=b"\x09")))


async def test_a_node_that_tells_too_often_is_answered_and_not_heard(on: Served) -> None:
    made = await published(on, 2)
    full = Bitfield.full(1).to_wire()
    for _ in range(observers.TELEMETRY_BURST):
        await on.client.telemetry(told(2, swarm(made)))
    wanted = await on.client.telemetry(told(2, swarm(made, have=full)))
    assert wanted.next_s > 0
    board = await on.client.board(made.id)
    (row,) = [row for row in board.machines if row.id == peer_id(2)]
    assert row.have_chunks == 0


async def test_a_large_fleet_is_asked_to_tell_less_often(on: Served) -> None:
    made = await published(on, 2)
    on.tracker.observer._look(0.0)
    assert on.tracker.observer.wait_s == NEXT_MIN_S
    board = on.tracker.observer.board(made.id)
    assert board is not None
    row = board.row(peer_id(2))
    assert row is not None
    board.waiting_rows = lambda: 2000  # type: ignore[method-assign]
    on.tracker.observer._look(0.0)
    assert on.tracker.observer.wait_s == 2000 * TELEMETRY_COST_S / TELEMETRY_SHARE


async def test_the_page_of_a_machine_has_all_that_it_told(on: Served) -> None:
    made = await published(on, 2, 3)
    shares = [0.0] * len(Downlink)
    shares[Downlink.RECEIVING] = 1.0
    await on.client.telemetry(
        told(
            2,
            swarm(made, down=tuple(shares), received_far_bytes=7),
            links=(LinkTelemetry(peer_id(3), 5, 9),),
            bans=(BanTelemetry(peer_id(4), "wrong digest", 30.0),),
            events=(NodeEvent(2.0, "first"), NodeEvent(1.0, "second")),
        )
    )
    page = await on.client.machine(peer_id(2))
    assert page.node is not None and page.node.id == peer_id(2)
    (part,) = page.swarms
    assert part.reference == "app:1" and part.down["receiving"] == 1.0
    assert part.received_far_bytes == part.received_bytes == 7
    assert [of.text for of in page.events] == ["second", "first"]
    assert page.bans[0].reason == "wrong digest"
    assert (page.neighbours[0].id, page.neighbours[0].received_bytes) == (peer_id(3), 9)
    with pytest.raises(NotFoundError):
        await on.client.machine(PeerId("f" * 32))


async def test_transfers_are_listed_newest_first(on: Served) -> None:
    made = await published(on, 2)
    (running,) = await on.client.transfers()
    assert (running.artifact, running.state, running.total) == (made.id, "running", 1)
    done = msgspec.structs.replace(whole(made), origin=False)
    await on.client.announce(announce(2, done, follows=("app:*",)))
    (over,) = await on.client.transfers()
    assert over.state == "done" and over.seconds_last is not None


async def test_a_swarm_says_which_chunks_its_nodes_have(on: Served) -> None:
    made = await published(on, 2, 3)
    await on.client.telemetry(told(2, swarm(made)))
    report = await on.client.swarm(made.id)
    have = {node.id: node.have for node in report.nodes}
    assert have == {
        peer_id(1): Bitfield.full(1).to_wire(),
        peer_id(2): Bitfield(1).to_wire(),
        peer_id(3): None,
    }


async def test_another_name_begins_another_transfer(on: Served) -> None:
    """Who looks at the board has its stream ended, and finds the new one when it comes back."""
    made = await published(on, 2)
    board = await on.client.board(made.id)
    stream = on.client.events(kinds=("board",), artifact=made.id, last_event_id=str(board.event_id))
    await anext(stream)
    await on.client.publish(parse_name("other:1"), made.id)
    with pytest.raises(UnavailableError, match="ended the event stream"):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await anext(stream)
    again = await on.client.board(made.id)
    assert again.references == ["app:1", "other:1"]
    assert again.published_unix_s > board.published_unix_s


async def test_who_takes_a_newer_version_is_not_waited_for_at_the_older_one(on: Served) -> None:
    first = await published(on, 2, 3)
    done = msgspec.structs.replace(whole(first), origin=False)
    await on.client.announce(announce(2, done, follows=("app:*",)))
    newer = manifest("app.bin", b"other bytes")
    await on.client.put_manifest(newer.id, newer.raw)
    await on.client.announce(announce(1, whole(first), whole(newer)))
    await on.client.publish(parse_name("app:2"), newer.id)
    for number in (2, 3):
        handout = await on.client.announce(announce(number, follows=("app:*",)))
        await on.client.announce(announce(number, follows=("app:*",), seen=handout.seen))
    board = await on.client.board(first.id)
    states = {row.id: row.state for row in board.machines}
    assert states == {peer_id(1): "seeding", peer_id(2): "seeding", peer_id(3): "gone"}
    assert board.progress.over
    running = {of.artifact: of.state for of in await on.client.transfers()}
    assert running == {first.id: "done", newer.id: "running"}


async def test_an_unknown_artifact_has_no_board(on: Served) -> None:
    made = manifest("never.bin")
    with pytest.raises(NotFoundError):
        await on.client.board(made.id)


async def test_boards_are_bounded_and_the_one_not_looked_at_goes(
    on: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observers, "BOARDS_MAX", 2)
    boards: list[BoardView] = []
    for name in ("a.bin", "b.bin", "c.bin"):
        made = manifest(name, name.encode())
        await on.client.put_manifest(made.id, made.raw)
        boards.append(await on.client.board(made.id))
    kept = on.tracker.observer._boards
    assert list(kept) == [board.artifact for board in boards[1:]]


async def test_a_silent_machine_is_probed_and_told_of(
    on: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens where it was: it has ended."""
    made = await published(on, 2, 3)
    await on.client.telemetry(told(2, swarm(made, elapsed_s=5.0)))
    observer = on.tracker.observer
    board = observer.board(made.id)
    assert board is not None
    row = board.row(peer_id(2))
    assert row is not None
    row.heard_s -= 60.0
    board.facts = msgspec.structs.replace(
        board.facts, published_unix_s=board.facts.published_unix_s - 60.0
    )
    monkeypatch.setattr(observers, "JUDGE_S_PER_ROW", 0.0)
    await until(lambda: row.verdict.cause, "a cause")
    assert row.verdict.cause == "ended" and "port is closed" in row.verdict.why


async def test_a_recording_that_breaks_ends_neither_leases_nor_other_recordings(
    on: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observers, "TICK_S", 0.01)
    tended: list[float] = []

    async def breaks(now: float) -> None:
        tended.append(now)
        raise ZeroDivisionError

    monkeypatch.setattr(on.tracker.recordings, "tend", breaks)
    await until(lambda: len(tended) >= 3, "recordings to be looked after again")
    assert (await published(on, 2)).id in [of.artifact for of in await on.client.artifacts()]
