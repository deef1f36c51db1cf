"""A recorded spread played: what each of its machines would tell at a moment of it.

The messages are the product's own (strew.announce.protocol, strew.telemetry.protocol), so what
reads them is met as by real nodes. What a recording has not, such as what a link waited for, is
made up from what it has, and said so below.
"""

import random
from collections import deque
from collections.abc import Iterator

from bench.spread import SLOW_RATIO, Spread
from strew.announce.protocol import Announce, Holding
from strew.content.bitfield import Bitfield
from strew.content.digest import ArtifactId
from strew.messages import PeerId
from strew.publication import HoldingState
from strew.telemetry.protocol import (
    COLUMNS_MAX,
    LINKS_MAX,
    LINKS_OVER_S,
    BanTelemetry,
    Downlink,
    LinkTelemetry,
    NodeEvent,
    Source,
    SwarmTelemetry,
    Telemetry,
    Timeline,
    Uplink,
)
from strew.telemetry.timeline import DOWN, RECEIVED, SENT, UP, fetch_log, timeline_of

FOLLOWS = ("crowd:*",)
PORT = 7301
RATE_OVER_S = 1.0
"""Rates are told over the last second."""

BAN_S = 600.0
FULL = "no space left on the device"


class Player:
    """One machine: what it has got so far, and from whom."""

    def __init__(self, number: int, crowd: "Playing") -> None:
        recorded = crowd.spread.recorded
        self.number = number
        self.id = PeerId(f"{random.Random(f'{recorded.seed} {number}').getrandbits(128):032x}")
        # RFC 2544 gives 198.18.0.0/15 to benchmarks: nobody is there who could be dialled
        self.host = f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
        self.rack = 0 if number == 0 else (number - 1) % recorded.racks
        self.zone = f"rack{self.rack}" if recorded.racks > 1 else ""
        self.kind = recorded.broken.kind(number) if number else ""
        self.have = Bitfield(crowd.chunk_count)
        if number == 0:
            self.have = Bitfield.full(crowd.chunk_count)
        self.received = [0, 0, 0]
        """Bytes from the origin, from near, from far."""
        self.sent_bytes = 0
        self.digits = bytearray(b"0" * crowd.columns)
        self.tallies = [[0] * crowd.columns for _ in range(3)]
        self.arrived: deque[tuple[float, int, int]] = deque()
        self.left: deque[tuple[float, int, int]] = deque()
        """(moment, other machine, bytes) of what came and went within LINKS_OVER_S."""
        self.fastest = [0.0, 0.0]
        self.log = fetch_log()
        self.told_s = 0.0
        self.told_bytes = (0, 0)
        self.done = number == 0
        self.seen = 0

    @property
    def received_bytes(self) -> int:
        return sum(self.received)


class Playing:
    """All machines at one moment of the recorded time, which `advance` moves on.

    `pace` is how many recorded seconds pass in one of the player's own, so that rates and windows
    are told as a watcher's clock has them.
    """

    def __init__(self, spread: Spread, artifact: ArtifactId, pace: float = 1.0) -> None:
        recorded = spread.recorded
        self.spread = spread
        self.artifact = artifact
        self.pace = pace
        self.chunk_count = len(recorded.lengths)
        self.columns = min(COLUMNS_MAX, self.chunk_count)
        columns, count = self.columns, self.chunk_count
        edges = [column * count // columns for column in range(columns + 1)]
        self._column_of = [
            column for column in range(columns) for _ in range(edges[column + 1] - edges[column])
        ]
        self.players = [Player(number, self) for number in range(recorded.nodes + 1)]
        self.breaks_s = recorded.size_bytes / recorded.rate_bytes_per_s / 3.0
        """When what is to break breaks (bench.spread.Broken)."""
        self.first_copies_s = _first_copies_s(spread)
        self.now_s = 0.0
        self._position = 0

    # --- time ------------------------------------------------------------------------------------

    def advance(self, now_s: float) -> None:
        """Let chunks arrive until `now_s` of the recorded time."""
        spread, players = self.spread, self.players
        times_s, end = spread.times_s, len(spread.times_s)
        lengths = spread.recorded.lengths
        position = self._position
        while position < end and times_s[position] <= now_s:
            target, source = players[spread.targets[position]], players[spread.sources[position]]
            chunk = spread.chunks[position]
            moment_s, length_bytes = times_s[position], lengths[chunk]
            position += 1
            kind = 0 if source.number == 0 else 1 if source.rack == target.rack else 2
            target.have.add(chunk)
            target.received[kind] += length_bytes
            target.arrived.append((moment_s, source.number, length_bytes))
            source.sent_bytes += length_bytes
            source.left.append((moment_s, target.number, length_bytes))
            column = self._column_of[chunk]
            tally = target.tallies[kind]
            tally[column] += 1
            shown = target.digits[column] - 49
            if shown < 0 or tally[column] > target.tallies[shown][column]:
                target.digits[column] = 49 + kind
        self._position = position
        self.now_s = now_s

    def ends(self) -> Iterator[tuple[float, int]]:
        """(recorded time, machine) of all that are ever done, and of the full disks."""
        for number, done_s in enumerate(self.spread.recorded.done_s):
            if number and done_s >= 0.0:
                yield done_s, number
            elif number and self.players[number].kind == "paused":
                yield self.breaks_s, number

    def is_silent(self, player: Player) -> bool:
        """Whether it tells nothing any more."""
        return player.kind == "silent" and self.now_s >= self.breaks_s

    def is_paused(self, player: Player) -> bool:
        return player.kind == "paused" and self.now_s >= self.breaks_s

    # --- messages --------------------------------------------------------------------------------

    def joining(self, player: Player) -> Announce:
        """Its announce before there is anything to fetch."""
        return Announce(
            node=player.id, host=player.host, port=PORT, zone=player.zone, follows=FOLLOWS
        )

    def announce(self, player: Player) -> Announce:
        """What it announces now."""
        state: HoldingState = "fetching"
        if self.is_paused(player):
            state = "paused"
        elif self._is_done(player):
            state = "seeding"
        holding = Holding(
            artifact=self.artifact,
            have_chunks=player.have.count,
            chunk_count=self.chunk_count,
            state=state,
            origin=player.number == 0,
            received_bytes=player.received_bytes,
            received_origin_bytes=player.received[0],
            duplicate_bytes=self._duplicates(player),
            sent_bytes=player.sent_bytes,
            reason=FULL if state == "paused" else "",
        )
        return Announce(
            node=player.id,
            host=player.host,
            port=PORT,
            zone=player.zone,
            follows=FOLLOWS if player.number else (),
            holdings=(holding,),
            wants=(self.artifact,) if state == "fetching" else (),
            seen=player.seen,
        )

    def telemetry(self, player: Player, unix_s: float) -> Telemetry:
        """What it tells now; begins a new interval."""
        self._forget_old(player)
        link = self._link_bytes_per_s(player) * self.pace
        rates = [min(link, self._rate(window)) for window in (player.arrived, player.left)]
        player.fastest = [max(pair) for pair in zip(player.fastest, rates, strict=True)]
        bad = player.kind == "bad" and self.now_s >= self.breaks_s
        down, up = self._down(player), self._up(player)
        self._note(player, down, up)
        swarm = SwarmTelemetry(
            artifact=self.artifact,
            have=player.have.to_wire(),
            chunk_count=self.chunk_count,
            sources=player.digits.decode() if player.number else str(Source.LOCAL) * self.columns,
            origin=player.number == 0,
            received_origin_bytes=player.received[0],
            received_near_bytes=player.received[1],
            received_far_bytes=player.received[2],
            duplicate_bytes=self._duplicates(player),
            sent_bytes=player.sent_bytes,
            bad_chunks=2 if bad else 0,
            received_bytes_per_s=rates[0],
            sent_bytes_per_s=rates[1],
            fastest_received_bytes_per_s=player.fastest[0],
            fastest_sent_bytes_per_s=player.fastest[1],
            down=down,
            up=up,
            neighbours=self._neighbours(player),
            nowhere=0 if player.have.complete or self.now_s >= self.first_copies_s else 1,
            hash_s=player.received_bytes / 1.5e9,
            write_s=player.received_bytes / 2e9,
            elapsed_s=self.now_s / self.pace,
            timeline=self._timeline(player),
        )
        player.told_s = self.now_s
        player.told_bytes = (player.received_bytes, player.sent_bytes)
        liar = self.players[1 + player.number % (len(self.players) - 1)]
        return Telemetry(
            node=player.id,
            at_s=unix_s,
            swarms=(swarm,),
            links=self._links(player),
            bans=(BanTelemetry(liar.id, "2 chunks with wrong digests", BAN_S),) if bad else (),
            events=self._events(player),
        )

    # --- its parts -------------------------------------------------------------------------------

    def _is_done(self, player: Player) -> bool:
        done_s = self.spread.recorded.done_s[player.number]
        return player.number == 0 or 0.0 <= done_s <= self.now_s

    def _duplicates(self, player: Player) -> int:
        """Those of the whole run, evenly over its chunks."""
        total_bytes = self.spread.recorded.duplicates[player.number]
        return total_bytes * player.have.count // self.chunk_count if player.number else 0

    def _neighbours(self, player: Player) -> int:
        """Those at the end; a machine that ended early has none left, and had some ten."""
        return self.spread.recorded.neighbours[player.number] or min(10, len(self.players) - 1)

    def _forget_old(self, player: Player) -> None:
        since_s = self.now_s - LINKS_OVER_S * self.pace
        for window in (player.arrived, player.left):
            while window and window[0][0] < since_s:
                window.popleft()

    def _link_bytes_per_s(self, player: Player) -> float:
        rate = self.spread.recorded.rate_bytes_per_s
        return rate * SLOW_RATIO if player.kind == "slow" else rate

    def _rate(self, window: deque[tuple[float, int, int]]) -> float:
        """By whole chunks: of large ones, more may end in a second than a link carries."""
        since_s = self.now_s - RATE_OVER_S * self.pace
        total_bytes = 0
        for moment_s, _, length_bytes in reversed(window):
            if moment_s < since_s:
                break
            total_bytes += length_bytes
        return total_bytes / RATE_OVER_S

    def _links(self, player: Player) -> tuple[LinkTelemetry, ...]:
        totals: dict[int, list[int]] = {}
        for way, window in enumerate((player.left, player.arrived)):
            for _, other, length_bytes in window:
                totals.setdefault(other, [0, 0])[way] += length_bytes
        most = sorted(totals.items(), key=lambda item: -sum(item[1]))[:LINKS_MAX]
        return tuple(
            LinkTelemetry(self.players[other].id, sent, received)
            for other, (sent, received) in most
        )

    def _share(self, player: Player, way: int) -> float:
        """How much of what its link would carry since it last told came or went."""
        can_bytes = self._link_bytes_per_s(player) * (self.now_s - player.told_s)
        total = (player.received_bytes, player.sent_bytes)[way] - player.told_bytes[way]
        return min(1.0, total / can_bytes) if can_bytes > 0.0 else 0.0

    def _down(self, player: Player) -> tuple[float, ...]:
        """Made up: what is not spent on receiving waits for first copies while there are some
        to come, then for offers. The interval in which it was done still counts."""
        if player.done:
            return ()
        shares = [0.0] * len(Downlink)
        if not player.have:
            shares[Downlink.STARTING] = 1.0
            return tuple(shares)
        shares[Downlink.RECEIVING] = self._share(player, 0)
        waits = Downlink.NOWHERE if self.now_s < self.first_copies_s else Downlink.UNOFFERED
        shares[waits] = 1.0 - shares[Downlink.RECEIVING]
        return tuple(shares)

    def _up(self, player: Player) -> tuple[float, ...]:
        """Made up: an uplink that does not send is not wanted."""
        sending = self._share(player, 1)
        shares = [0.0] * len(Uplink)
        shares[Uplink.SENDING], shares[Uplink.UNWANTED] = sending, 1.0 - sending
        return tuple(shares)

    def _note(self, player: Player, down: tuple[float, ...], up: tuple[float, ...]) -> None:
        """Keep what came, what went and what was waited for since it last told, in its own
        seconds."""
        begin_s, end_s = player.told_s / self.pace, self.now_s / self.pace
        amounts = [
            (RECEIVED, float(player.received_bytes - player.told_bytes[0])),
            (SENT, float(player.sent_bytes - player.told_bytes[1])),
        ]
        for first, shares in ((DOWN, down), (UP, up)):
            amounts += [
                (first + state, share * (end_s - begin_s)) for state, share in enumerate(shares)
            ]
        player.log.add(begin_s, end_s, [(column, amount) for column, amount in amounts if amount])

    def _timeline(self, player: Player) -> Timeline | None:
        """Told once, with the end."""
        if player.done or not self._is_done(player):
            return None
        done_s = self.spread.recorded.done_s[player.number]
        return timeline_of(player.log, done_s / self.pace)

    def _events(self, player: Player) -> tuple[NodeEvent, ...]:
        if player.done or not self._is_done(player):
            return ()
        player.done = True
        ago_s = (self.now_s - self.spread.recorded.done_s[player.number]) / self.pace
        return (NodeEvent(ago_s, f"{self.artifact} is in place"),)


def _first_copies_s(spread: Spread) -> float:
    """When the machines together had every chunk."""
    left = set(range(len(spread.recorded.lengths)))
    for moment_s, chunk in zip(spread.times_s, spread.chunks, strict=True):
        left.discard(chunk)
        if not left:
            return moment_s
    return spread.end_s
