"""A board: announces and telemetry in, what is shown out."""

import pytest

from strew.errors import ProtocolError
from strew.telemetry.board import LASTING_S
from strew.telemetry.protocol import LinkTelemetry
from strew.telemetry.rows import STALE_AFTER_S
from strew.telemetry.view import RarestChunk
from tests.telemetry.boards import (
    CHUNKS,
    PUBLISHED_S,
    SIZE_BYTES,
    board,
    machine,
    origin,
    peer,
    telemetry,
)

NOW_S = PUBLISHED_S + 10.0


def test_machines_keep_their_rows_in_the_order_in_which_they_came() -> None:
    told = board()
    for number in (0, 1, 2):
        told.hear(machine(number), NOW_S)
    told.left(peer(1), NOW_S)
    told.hear(machine(1, "seeding"), NOW_S)
    assert [row.id for row in told.rows] == [peer(0), peer(1), peer(2)]
    assert [row.state for row in told.rows] == ["fetching", "seeding", "fetching"]


def test_progress_counts_neither_origins_nor_those_who_left() -> None:
    told = board()
    told.hear(origin(), NOW_S)
    for number, state in enumerate(("seeding", "fetching", "waiting", "paused", "failed"), 1):
        told.hear(machine(number, state), NOW_S)
    told.hear(machine(9), NOW_S)
    told.left(peer(9), NOW_S)
    progress = told.progress(NOW_S)
    assert progress.total == 5
    assert (progress.done, progress.fetching, progress.waiting) == (1, 1, 1)
    assert (progress.paused, progress.failed) == (1, 1)
    assert progress.total_bytes == 5 * SIZE_BYTES and progress.done_bytes == SIZE_BYTES
    assert not progress.over


def test_telemetry_says_which_chunks_are_where() -> None:
    told = board()
    told.hear(origin(), NOW_S)
    told.hear(machine(1), NOW_S)
    told.hear(machine(2), NOW_S)
    told.tell(peer(1), telemetry({0, 1, 2}), NOW_S)
    told.tell(peer(2), telemetry({2}), NOW_S)
    assert told.progress(NOW_S).rarest == RarestChunk(1, CHUNKS - 3, 3)
    assert told.rows[1].cells() == "EEE" + "(" * 7
    told.left(peer(0), NOW_S)
    assert told.progress(NOW_S).rarest == RarestChunk(0, CHUNKS - 3, 3)


def test_whoever_tells_of_a_transfer_has_begun_it() -> None:
    told = board()
    told.hear(machine(1, "waiting"), NOW_S)
    told.tell(peer(1), telemetry({0}), NOW_S)
    told.hear(machine(1, "waiting"), NOW_S + 0.1)  # an announce that was under way
    assert told.rows[0].state == "fetching"


def test_telemetry_of_somebody_who_has_not_announced_is_left_aside() -> None:
    told = board()
    assert not told.tell(peer(1), telemetry({0}), NOW_S)
    assert told.rows == []


def test_telemetry_of_another_number_of_chunks_is_refused() -> None:
    told = board()
    told.hear(machine(1), NOW_S)
    with pytest.raises(ProtocolError, match="11 chunks of an artifact of 10"):
        told.tell(peer(1), telemetry(set(), chunks=11), NOW_S)
    bad = telemetry(set())
    with pytest.raises(ProtocolError, match="bitfield"):
        told.tell(peer(1), type(bad)(artifact=bad.artifact, have=b"", chunk_count=CHUNKS), NOW_S)


def test_times_are_told_once_for_each_machine_that_is_done() -> None:
    told = board()
    told.hear(machine(1), NOW_S)
    for _ in range(2):
        told.hear(machine(1, "seeding", done_unix_s=PUBLISHED_S + 7.25), NOW_S)
    assert told.times_s == [7.25]


def test_the_bound_is_that_of_configured_rates_or_of_the_best_second() -> None:
    told = board()
    for number in (1, 2, 3, 4):
        told.hear(machine(number), NOW_S)
    fast = telemetry({0}, fastest_received_bytes_per_s=200.0)
    for number in (1, 2, 3, 4):
        told.tell(peer(number), fast, NOW_S)
    measured = told.progress(NOW_S)
    assert (measured.link_from, measured.line_seconds) == ("measured", SIZE_BYTES / 200)
    assert measured.bound_seconds == pytest.approx(SIZE_BYTES / 200 * (1 + 2 / CHUNKS))
    for number in (1, 2, 3, 4):
        told.tell(peer(number), fast, NOW_S, rates=(100.0, 0.0))
    assert told.progress(NOW_S).link_from == "rate"
    assert told.progress(NOW_S).line_seconds == SIZE_BYTES / 100


def test_the_end_is_estimated_for_the_slowest_machine_that_moves() -> None:
    told = board()
    told.hear(machine(1), NOW_S)
    told.hear(machine(2), NOW_S)
    half = set(range(CHUNKS // 2))
    for number, rate in ((1, 50.0), (2, 10.0)):
        fields = {"received_bytes_per_s": rate, "received_far_bytes": int(rate * 10)}
        told.tell(peer(number), telemetry(half, elapsed_s=10.0, **fields), NOW_S)
    assert told.progress(NOW_S).eta_s == pytest.approx(500 / 10.0)


def test_a_transfer_is_over_when_all_who_follow_are_done_or_failed() -> None:
    told = board()
    told.hear(origin(), NOW_S)
    told.hear(machine(1, "seeding", done_unix_s=PUBLISHED_S + 5.0), NOW_S)
    told.tell(peer(1), telemetry(set(range(CHUNKS)), fastest_received_bytes_per_s=500.0), NOW_S)
    told.hear(machine(2, "failed"), NOW_S)
    progress = told.progress(NOW_S)
    assert progress.over and progress.eta_s is None
    assert progress.ratio_end == pytest.approx(5.0 / (2.0 * 1.1), rel=1e-3)
    assert told.summary(NOW_S).state == "partial"


def test_rates_are_of_now() -> None:
    told = board()
    told.hear(origin(), NOW_S)
    told.hear(machine(1, zone="a"), NOW_S)
    told.tell(peer(1), telemetry({0}, received_bytes_per_s=300.0), NOW_S)
    told.tell(peer(0), telemetry(set(range(CHUNKS)), sent_bytes_per_s=100.0, origin=True), NOW_S)
    told.sample(NOW_S, 0.5)
    told.sample(NOW_S + STALE_AFTER_S + 1.0, 0.5)
    told.changes.settle(NOW_S)
    rates = told.view(NOW_S, 1, {}, None).rates
    assert rates.fleet == [300.0, 0.0] and rates.origin == [100.0, 0.0]
    assert rates.zones == [[0.0, 0.0], [300.0, 0.0]]


def test_flows_are_what_the_receiver_says_and_the_sender_where_it_does_not_tell() -> None:
    told = board()
    for number in (1, 2, 3):
        told.hear(machine(number), NOW_S)
    told.changes.settle(NOW_S)
    links = {
        peer(1): (LinkTelemetry(peer(2), 70, 5), LinkTelemetry(peer(3), 9, 0)),
        peer(2): (LinkTelemetry(peer(1), 6, 60), LinkTelemetry(peer(99), 1, 1)),
    }
    assert told.flows(links, 10) == [(0, 1, 60), (0, 2, 9), (1, 0, 5)]
    assert told.flows(links, 1) == [(0, 1, 60)]


def test_who_is_silent_is_to_be_probed_while_it_matters() -> None:
    told = board()
    told.hear(machine(1), NOW_S)
    told.hear(machine(2), NOW_S)
    told.hear(machine(3, "seeding"), NOW_S)
    told.tell(peer(1), telemetry({0}), NOW_S)
    told.tell(peer(2), telemetry({0}), NOW_S)
    told.tell(peer(2), telemetry({0}), NOW_S + 8.0)
    assert [row.id for row in told.silent(NOW_S + 8.0, 0.5)] == [peer(1)]
    assert list(told.silent(NOW_S + 8.0, 10.0)) == []
    told.left(peer(1), NOW_S + 8.0)
    assert list(told.silent(NOW_S + 8.0, 0.5)) == []


def test_a_chunk_that_nobody_has_is_lost_once_that_lasts() -> None:
    told = board()
    told.hear(origin(), NOW_S)
    for number in (1, 2):
        told.hear(machine(number), NOW_S)
        told.tell(peer(number), telemetry({0, 1}, elapsed_s=20.0), NOW_S)
    told.left(peer(0), NOW_S)
    told.judge(NOW_S, 0.5, {})
    assert told.rows[1].verdict.cause == ""
    for number in (1, 2):
        told.tell(peer(number), telemetry({0, 1}, elapsed_s=25.0), NOW_S + 5.0)
    told.judge(NOW_S + 5.0, 0.5, {})
    assert {row.verdict.cause for row in told.rows[1:]} == {"no-holder"}
    assert "8 of its missing chunks" in told.rows[1].verdict.why


def test_a_cause_that_comes_of_comparing_is_told_once_it_lasts() -> None:
    told = board()
    for number in (1, 2, 3):
        told.hear(machine(number), NOW_S)
        slow = {"received_bytes_per_s": 1.0, "down": (0, 1.0, 0, 0, 0, 0, 0)} if number == 3 else {}
        fields = {"fastest_received_bytes_per_s": 900.0, "received_bytes_per_s": 900.0} | slow
        have = {0} if number == 3 else {0, 1, 2, 3}
        told.tell(peer(number), telemetry(have, elapsed_s=10.0, **fields), NOW_S)
    causes = []
    for after_s in (0.0, LASTING_S - 0.5, LASTING_S):
        told.judge(NOW_S + after_s, 0.5, {})
        causes.append([row.verdict.cause for row in told.rows])
    assert causes == [["", "", ""], ["", "", ""], ["", "", "slow-down"]]


def test_no_time_is_left_to_tell_where_only_machines_are_missing_that_are_stuck() -> None:
    told = board(chunks=1000)
    told.hear(origin(), NOW_S)
    told.hear(machine(1, "seeding", done_unix_s=NOW_S), NOW_S)
    told.hear(machine(2, "paused", reason="no space"), NOW_S)
    told.tell(peer(2), telemetry({1}, chunks=1000, received_bytes_per_s=10.0), NOW_S)
    assert told.progress(NOW_S).eta_s is None


def test_who_has_everything_receives_nothing_more() -> None:
    told = board(chunks=10)
    told.hear(origin(), NOW_S)
    told.hear(machine(1), NOW_S)
    told.tell(peer(1), telemetry(set(range(5)), chunks=10, received_bytes_per_s=10.0), NOW_S)
    assert told.progress(NOW_S).rate_bytes_per_s == 10.0
    told.hear(machine(1, "seeding", done_unix_s=NOW_S), NOW_S + 0.5)
    assert told.progress(NOW_S).rate_bytes_per_s == 0.0


def test_what_was_on_every_machine_before_is_not_in_the_bound() -> None:
    told = board(chunks=1000, size_bytes=1000)
    told.hear(origin(), NOW_S)
    for number, reused_bytes in ((1, 300), (2, 200)):
        told.hear(machine(number), NOW_S)
        have = telemetry(
            {1}, chunks=1000, reused_bytes=reused_bytes, fastest_received_bytes_per_s=100.0
        )
        told.tell(peer(number), have, NOW_S)
    assert told.progress(NOW_S).line_seconds == pytest.approx(8.0)
