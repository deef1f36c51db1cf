import io
import random

import pytest

from strew.content.chunker import (
    AVERAGE_BYTES_MAX,
    AVERAGE_BYTES_MIN,
    CHUNK_BYTES_MAX,
    ChunkerParams,
    cut,
    params_for,
)

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
PARAMS = params_for(0)


def cuts(data: bytes) -> list[tuple[int, int]]:
    return [(offset, len(view)) for offset, view in cut(io.BytesIO(data), PARAMS)]


@pytest.mark.parametrize(
    ("size_bytes", "average_bytes"),
    [
        (0, 64 * KIB),
        (1, 64 * KIB),
        (128 * MIB - 1, 64 * KIB),
        (128 * MIB, 128 * KIB),
        (512 * MIB - 1, 128 * KIB),
        (512 * MIB, 256 * KIB),
        (GIB - 1, 256 * KIB),
        (GIB, MIB),
        (8 * GIB - 1, MIB),
        (8 * GIB, 2 * MIB),
        (16 * GIB, 4 * MIB),
        (1024 * GIB, 4 * MIB),
    ],
)
def test_the_average_grows_with_the_artifact(size_bytes: int, average_bytes: int) -> None:
    params = params_for(size_bytes)
    assert params.average_bytes == average_bytes
    assert (params.min_bytes, params.max_bytes) == (average_bytes // 4, average_bytes * 3 // 2)
    assert params.broken_rule() == ""


def test_an_artifact_has_enough_chunks_for_a_pipeline() -> None:
    for size_bytes in (2**exponent for exponent in range(27, 45)):
        averages = size_bytes / params_for(size_bytes).average_bytes
        enough = 4096 if size_bytes >= 8 * GIB else 2048 if 256 * MIB <= size_bytes < GIB else 1024
        assert averages >= enough, size_bytes


def test_cuts_cover_the_stream_within_their_limits() -> None:
    data = random.Random(1).randbytes(3 * MIB)
    position = 0
    for offset, view in cut(io.BytesIO(data), PARAMS):
        assert offset == position
        assert view == data[offset : offset + len(view)]
        assert len(view) <= PARAMS.max_bytes
        position += len(view)
        assert len(view) >= PARAMS.min_bytes or position == len(data)
    assert position == len(data)


def test_cuts_do_not_depend_on_how_the_stream_arrives() -> None:
    data = random.Random(2).randbytes(2 * MIB)

    class Drip(io.BytesIO):
        def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
            return super().readinto(buffer[:4097])

    assert [(o, len(v)) for o, v in cut(Drip(data), PARAMS)] == cuts(data)


def test_an_insertion_moves_only_the_cuts_near_it() -> None:
    data = random.Random(3).randbytes(4 * MIB)
    changed = data[: 2 * MIB] + b"inserted" + data[2 * MIB :]
    old = {data[offset : offset + length] for offset, length in cuts(data)}
    new = [changed[offset : offset + length] for offset, length in cuts(changed)]
    assert sum(chunk not in old for chunk in new) <= 3


def test_nothing_gives_no_chunk_and_a_byte_gives_one() -> None:
    assert cuts(b"") == []
    assert cuts(b"x") == [(0, 1)]


def test_pinned_cuts_never_change() -> None:
    # A machine cuts its old version again to find what the new one shares with it: another library
    # version that cut elsewhere would silently reuse nothing.
    assert cuts(random.Random(4).randbytes(512 * KIB)) == PINNED


@pytest.mark.parametrize(
    "params",
    [
        ChunkerParams(AVERAGE_BYTES_MIN // 2, 64, AVERAGE_BYTES_MIN, 3),
        ChunkerParams(AVERAGE_BYTES_MAX * 2, 64, CHUNK_BYTES_MAX, 3),
        ChunkerParams(AVERAGE_BYTES_MIN + 1, 64, CHUNK_BYTES_MAX, 3),
        ChunkerParams(AVERAGE_BYTES_MIN, 0, CHUNK_BYTES_MAX, 3),
        ChunkerParams(AVERAGE_BYTES_MIN, AVERAGE_BYTES_MIN, CHUNK_BYTES_MAX, 3),
        ChunkerParams(AVERAGE_BYTES_MIN, 64, AVERAGE_BYTES_MIN - 1, 3),
        ChunkerParams(AVERAGE_BYTES_MIN, 64, CHUNK_BYTES_MAX + 1, 3),
        ChunkerParams(AVERAGE_BYTES_MIN, 64, CHUNK_BYTES_MAX, 4),
        ChunkerParams(AVERAGE_BYTES_MIN, 64, CHUNK_BYTES_MAX, -1),
    ],
)
def test_parameters_out_of_range_name_their_rule(params: ChunkerParams) -> None:
    assert params.broken_rule() != ""


PINNED = [
    (0, 65581),
    (65581, 65933),
    (131514, 54615),
    (186129, 66080),
    (252209, 64557),
    (316766, 83094),
    (399860, 82700),
    (482560, 41728),
]
