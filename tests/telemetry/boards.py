"""Boards and machines for tests, at a time of their own."""

from strew.content.bitfield import Bitfield
from strew.messages import PeerId
from strew.telemetry.board import Board
from strew.telemetry.progress import Facts
from strew.telemetry.protocol import SwarmTelemetry
from strew.telemetry.rows import MachineTold
from tests.announce.makers import artifact_id

ARTIFACT = artifact_id("image")
PUBLISHED_S = 1000.0
CHUNKS = 10
SIZE_BYTES = 1000


def peer(number: int) -> PeerId:
    return PeerId(f"{number:032x}")


def board(chunks: int = CHUNKS, size_bytes: int = SIZE_BYTES) -> Board:
    return Board(
        Facts(
            artifact=ARTIFACT,
            references=("app:1",),
            name="image",
            size_bytes=size_bytes,
            chunk_count=chunks,
            published_unix_s=PUBLISHED_S,
        )
    )


def machine(number: int, state: str = "fetching", **fields: object) -> MachineTold:
    """What an announce of this machine says."""
    values: dict[str, object] = {
        "id": peer(number),
        "host": "127.0.0.1",
        "port": 7000 + number,
        "zone": "",
        "state": state,
        "is_origin": False,
        "follows": True,
        "have_chunks": 0,
    }
    return MachineTold(**values | fields)  # type: ignore[arg-type]


def origin(number: int = 0) -> MachineTold:
    return machine(number, "seeding", is_origin=True, follows=False, have_chunks=CHUNKS)


def telemetry(have: set[int], chunks: int = CHUNKS, **fields: object) -> SwarmTelemetry:
    """What a machine with these chunks tells."""
    field = Bitfield(chunks)
    field.update(have)
    return SwarmTelemetry(
        artifact=ARTIFACT,
        have=field.to_wire(),
        chunk_count=chunks,
        **fields,  # type: ignore[arg-type]
    )
