"""The page of one machine: what is known of it, over all boards."""

from __future__ import annotations

from collections.abc import Collection

from strew.messages import PeerId
from strew.telemetry.board import Board
from strew.telemetry.protocol import Downlink, Uplink
from strew.telemetry.rows import Row, rounded
from strew.telemetry.stragglers import FINE
from strew.telemetry.view import EVENTS_SHOWN_MAX, MachineNeighbour, MachineSwarm
from strew.tracker.informants import FRESH_S, Informant
from strew.tracker.reports import MachineView, NodeReport


def machine_view(
    peer: PeerId,
    node: NodeReport | None,
    boards: Collection[Board],
    informant: Informant | None,
    now: float,
) -> MachineView | None:
    """All of it; None if there is nothing."""
    parts = [(board, row) for board in boards if (row := board.row(peer)) is not None]
    if node is None and not parts and informant is None:
        return None
    lags = [row for _, row in parts if row.verdict.cause]
    verdict = lags[-1].verdict if lags else FINE
    heard_s = max((row.heard_s for _, row in parts), default=now - (node.heard_s if node else 0.0))
    return MachineView(
        node=node,
        id=peer,
        cause=verdict.cause,
        why=verdict.why,
        remedy=verdict.remedy,
        silent_s=round(max(0.0, now - heard_s), 1),
        swarms=[_swarm(board, row) for board, row in reversed(parts)],
        neighbours=_neighbours(boards, informant, now),
        bans=list(informant.bans) if informant is not None else [],
        events=list(informant.events)[: -EVENTS_SHOWN_MAX - 1 : -1] if informant else [],
    )


def _swarm(board: Board, row: Row) -> MachineSwarm:
    facts, told = board.facts, row.telemetry
    return MachineSwarm(
        artifact=facts.artifact,
        reference=facts.references[0] if facts.references else "",
        name=facts.name,
        state=row.state,
        reason=row.reason,
        have_chunks=row.have_chunks,
        chunk_count=facts.chunk_count,
        cells=row.cells(),
        received_bytes_per_s=rounded(row.received_bytes_per_s),
        sent_bytes_per_s=rounded(row.sent_bytes_per_s),
        down=_shares(row.down, Downlink),
        up=_shares(row.up, Uplink),
        received_bytes=row.received_bytes,
        received_origin_bytes=row.received_origin_bytes,
        received_near_bytes=told.received_near_bytes if told is not None else 0,
        received_far_bytes=told.received_far_bytes if told is not None else 0,
        reused_bytes=row.reused_bytes,
        duplicate_bytes=row.duplicate_bytes,
        sent_bytes=row.sent_bytes,
        bad_chunks=told.bad_chunks if told is not None else 0,
        neighbours=told.neighbours if told is not None else 0,
        nowhere=told.nowhere if told is not None else 0,
        hash_s=told.hash_s if told is not None else 0.0,
        write_s=told.write_s if told is not None else 0.0,
        elapsed_s=told.elapsed_s if told is not None else 0.0,
        done_s=row.done_s(facts.published_unix_s),
    )


def _shares(shares: tuple[float, ...], names: type[Downlink] | type[Uplink]) -> dict[str, float]:
    return {of.name.lower(): round(share, 3) for of, share in zip(names, shares, strict=False)}


def _neighbours(
    boards: Collection[Board], informant: Informant | None, now: float
) -> list[MachineNeighbour]:
    if informant is None or now - informant.told_s > FRESH_S:
        return []
    found = []
    for link in informant.links:
        rows = (row for board in boards if (row := board.row(link.peer)) is not None)
        row = next(rows, None)
        found.append(
            MachineNeighbour(
                id=link.peer,
                host=row.host if row is not None else "",
                port=row.port if row is not None else 0,
                zone=row.zone if row is not None else "",
                sent_bytes=link.sent_bytes,
                received_bytes=link.received_bytes,
            )
        )
    return sorted(found, key=lambda of: -(of.sent_bytes + of.received_bytes))
