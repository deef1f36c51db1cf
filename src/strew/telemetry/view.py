"""What is shown of a transfer: the values of the API, as its both ends read them.

Seconds count from the publication where a name ends in `_s`, unix time where in `_unix_s`.
"""

from typing import Any, Final, Literal

import msgspec

from strew.publication import ArtifactText, HoldingState, PeerText, ReferenceText
from strew.telemetry.series import Rates

MachineState = HoldingState | Literal["waiting", "gone"]
"""As announced; `waiting` for one that follows and told nothing yet, `gone` for one that left."""

Cause = Literal[
    "",
    "starting",
    "slow-down",
    "slow-up",
    "slow-disk",
    "few-neighbours",
    "bad-chunks",
    "banned",
    "no-holder",
    "stalled",
    "cut-off",
    "ended",
    "paused",
    "failed",
]
"""Why a machine lags behind, or keeps others behind; empty while all is well."""

FLOWS_MAX: Final = 4096
"""Pairs of machines in a board, those with the most bytes."""

FLOWS_TOLD_MAX: Final = 1024
"""The same in an event: 16 bytes each, told again as a whole."""

TRANSFERS_MAX: Final = 100
"""Transfers in a list, newest first."""

EVENTS_SHOWN_MAX: Final = 200
"""Events on the page of a machine, newest first."""


class MachineRow(msgspec.Struct, array_like=True, kw_only=True):
    """One machine of a board; its place in the board's list is its number there."""

    id: PeerText
    host: str
    port: int
    zone_index: int
    state: MachineState
    is_origin: bool
    follows: bool
    have_chunks: int
    received_bytes_per_s: float
    sent_bytes_per_s: float
    done_s: float | None
    silent_s: float
    """Since the last word of it."""
    cause: Cause
    why: str
    remedy: str
    received_bytes: int
    received_origin_bytes: int
    reused_bytes: int
    sent_bytes: int
    duplicate_bytes: int
    neighbours: int
    cells: str
    """A character for each column, see strew.telemetry.cells."""


class RarestChunk(msgspec.Struct, frozen=True):
    """How few copies the rarest chunk has, how many chunks have so few, and the first of them."""

    copies: int
    chunks: int
    first: int


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer in numbers. `total` = done + failed + paused + fetching + waiting: origins and
    machines that left are in none of them."""

    total: int
    done: int
    failed: int
    paused: int
    fetching: int
    waiting: int
    done_bytes: int
    total_bytes: int
    eta_s: float | None
    rate_bytes_per_s: float
    origin_rate_bytes_per_s: float
    origin_sent_ratio: float
    """What origins sent, as a multiple of the artifact."""
    peer_share: float
    """Of what was received: the part that came from other machines than an origin."""
    duplicate_ratio: float
    line_seconds: float | None
    """F/B: the artifact over one link."""
    bound_seconds: float | None
    """What no schedule beats on such links."""
    link_bytes_per_s: float | None
    """B, of which these two are."""
    link_from: Literal["rate", "measured", ""]
    ratio_now: float | None
    """What it comes to, over the bound, if it goes on like this."""
    ratio_end: float | None
    """What it came to."""
    rarest: RarestChunk | None
    over: bool
    """Every machine that follows is done or failed."""


class Previous(msgspec.Struct, frozen=True, kw_only=True):
    """The transfer before this one of the same name, to compare with."""

    reference: str
    artifact: ArtifactText
    size_bytes: int
    published_unix_s: float
    total: int
    times_s: list[float]
    bound_seconds: float | None


Flow = tuple[int, int, int]
"""From this row to that row, so many bytes in the last LINKS_OVER_S."""


class BoardView(msgspec.Struct, frozen=True, kw_only=True):
    """All that is shown of one transfer."""

    event_id: int
    """Resume the events after this one."""
    now_s: float
    published_unix_s: float
    artifact: ArtifactText
    references: list[ReferenceText]
    name: str
    size_bytes: int
    chunk_count: int
    columns: int
    progress: Progress
    zones: list[str]
    machines: list[MachineRow]
    times_s: list[float]
    """When machines were done, rising."""
    previous: Previous | None
    rates: Rates
    flows: list[Flow]


class BoardChange(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Data of a `board` event: what changed, all values absolute, so that one applied twice does no
    harm. `machines` has [row, {field: value}], `cells` [row, start, text], `rates` one point."""

    artifact: ArtifactText
    now_s: float
    progress: Progress
    zones: list[str] | None = None
    """All of them, when there are new ones."""
    joined: list[MachineRow] = []
    machines: list[tuple[int, dict[str, Any]]] = []
    cells: list[tuple[int, int, str]] = []
    times_s: list[float] = []
    rates: tuple[float, float, float, list[float]] | None = None
    flows: list[Flow] | None = None


class TransferSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One transfer in a list."""

    artifact: ArtifactText
    reference: str
    name: str
    size_bytes: int
    chunk_count: int
    published_unix_s: float
    state: Literal["running", "done", "partial"]
    total: int
    done: int
    failed: int
    seconds_last: float | None = None
    seconds_median: float | None = None
    line_seconds: float | None = None
    bound_seconds: float | None = None
    ratio_to_bound: float | None = None
    origin_sent_ratio: float | None = None
    recorded: bool = False


class MachineSwarm(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact on the page of a machine. `down` and `up` are shares of the last seconds, by the
    names of strew.telemetry.protocol.Downlink and Uplink."""

    artifact: ArtifactText
    reference: str
    name: str
    state: MachineState
    reason: str
    have_chunks: int
    chunk_count: int
    cells: str
    received_bytes_per_s: float
    sent_bytes_per_s: float
    down: dict[str, float]
    up: dict[str, float]
    received_bytes: int
    received_origin_bytes: int
    received_near_bytes: int
    received_far_bytes: int
    reused_bytes: int
    duplicate_bytes: int
    sent_bytes: int
    bad_chunks: int
    neighbours: int
    nowhere: int
    hash_s: float
    write_s: float
    elapsed_s: float
    done_s: float | None


class MachineNeighbour(msgspec.Struct, frozen=True, kw_only=True):
    """A peer of a machine, with the payload of the last LINKS_OVER_S."""

    id: PeerText
    host: str
    port: int
    zone: str
    sent_bytes: int
    received_bytes: int


class MachineBan(msgspec.Struct, frozen=True, kw_only=True):
    """A peer that a machine does not deal with for `for_s` more."""

    id: PeerText
    reason: str
    for_s: float


class MachineEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what happened at a machine."""

    at_unix_s: float
    text: str
