"""Transfers of the past beside those on boards: recorded ones, in the same words."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from strew.announce.reference import name_of
from strew.errors import StrewError
from strew.telemetry.board import Board
from strew.telemetry.recording import Recording
from strew.telemetry.view import TRANSFERS_MAX, Previous, TransferSummary
from strew.tracker.recording_files import Summary
from strew.tracker.recordings import Recordings


class History:
    """What is known of transfers; with nothing recorded, what boards say of them."""

    def __init__(self, recordings: Recordings | None) -> None:
        self._recordings = recordings
        self._read: tuple[Summary, Previous] | None = None
        """The recording that was read last: onlookers of one transfer all compare it with one."""

    def _summaries(self) -> tuple[Summary, ...]:
        return self._recordings.summaries() if self._recordings is not None else ()

    def transfers(self, boards: Collection[Board], now: float) -> list[TransferSummary]:
        """All of them, newest first. Of one that runs the board tells; of one that is over the
        recording, which knows more exactly when each machine was done."""
        found: dict[tuple[str, int], TransferSummary] = {}
        for board in boards:
            told = board.summary(now)
            found[told.artifact, _when(told.published_unix_s)] = told
        for kept in self._summaries():
            place = (kept.artifact, _when(kept.published_unix_s))
            on_board = found.get(place)
            if on_board is None:
                found[place] = _recorded(kept)
            elif on_board.state != "running":
                found[place] = msgspec.structs.replace(_recorded(kept), state=on_board.state)
            else:
                found[place] = msgspec.structs.replace(on_board, recorded=True)
        newest = sorted(found.values(), key=lambda of: -of.published_unix_s)
        return newest[:TRANSFERS_MAX]

    async def previous(self, board: Board, boards: Collection[Board]) -> Previous | None:
        """The last transfer before this one of the same name, else of about the same size."""
        facts = board.facts
        mine = {name_of(reference) for reference in facts.references}
        before = [of for of in self._summaries() if of.published_unix_s < facts.published_unix_s]
        same = [of for of in before if name_of(of.reference) in mine]
        if same:
            return await self._previous_of(same[0])
        other = _last_of(mine, facts.published_unix_s, boards)
        if other is not None:
            return other.as_previous()
        alike = [of for of in before if _is_alike(of.size_bytes, facts.size_bytes)]
        return await self._previous_of(alike[0]) if alike else None

    async def _previous_of(self, summary: Summary) -> Previous | None:
        if self._read is not None and self._read[0] == summary:
            return self._read[1]
        assert self._recordings is not None
        try:
            previous = _previous(await self._recordings.read(summary), summary)
        except StrewError:
            return None  # it was dropped for a newer one meanwhile, or its disk does not read
        self._read = (summary, previous)
        return previous


def _last_of(names: set[str], before_s: float, boards: Collection[Board]) -> Board | None:
    earlier = [
        board
        for board in boards
        if board.times_s
        and board.facts.published_unix_s < before_s
        and names & {name_of(reference) for reference in board.facts.references}
    ]
    return max(earlier, key=lambda of: of.facts.published_unix_s, default=None)


def _previous(recording: Recording, summary: Summary) -> Previous:
    times_s = [machine.done_s for machine in recording.followers if machine.done_s is not None]
    return Previous(
        reference=summary.reference,
        artifact=summary.artifact,  # type: ignore[arg-type]  # it was one when it was recorded
        size_bytes=summary.size_bytes,
        published_unix_s=summary.published_unix_s,
        total=summary.total,
        times_s=sorted(times_s),
        bound_seconds=summary.bound_seconds,
    )


def _recorded(kept: Summary) -> TransferSummary:
    return TransferSummary(
        artifact=kept.artifact,  # type: ignore[arg-type]
        reference=kept.reference,
        name=kept.name,
        size_bytes=kept.size_bytes,
        chunk_count=kept.chunk_count,
        published_unix_s=kept.published_unix_s,
        state="done" if kept.done == kept.total else "partial",
        total=kept.total,
        done=kept.done,
        failed=kept.failed,
        seconds_last=kept.seconds_last,
        seconds_median=kept.seconds_median,
        line_seconds=kept.line_seconds,
        bound_seconds=kept.bound_seconds,
        ratio_to_bound=kept.ratio_to_bound,
        origin_sent_ratio=kept.origin_sent_ratio,
        recorded=True,
    )


def _when(published_unix_s: float) -> int:
    return round(published_unix_s * 1000)


def _is_alike(one_bytes: int, other_bytes: int) -> bool:
    """Of one size class: neither is twice the other."""
    return one_bytes.bit_length() == other_bytes.bit_length()
