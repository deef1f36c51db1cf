"""A board to play swarms on: one swarm, the pieces around it named by letters, moves as calls.

Every move returns what the swarm wants done, written as short lines:

    "a: Request 3"     send this message to a        "a << 3 owned"   send it the chunk, so
    "a: Have 1 2"                                    "unsend a 3"     take it out of a's queue
    "discard a 3"      throw away what arrives       "drop a"         disconnect, with a ban
    "recheck 3"        hash the stored chunk again   "meet b c"       be connected with these
    "completed"
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from strew.content.bitfield import Bitfield
from strew.messages import (
    Action,
    BadChunk,
    Cancel,
    CancelSend,
    ChunkAborted,
    ChunkArriving,
    ChunkCorrupt,
    ChunkNotSent,
    ChunkRotten,
    ChunkSent,
    ChunkStored,
    Close,
    Completed,
    Discard,
    Drop,
    Event,
    Gone,
    Have,
    Leave,
    Meet,
    MembersNamed,
    MessageReceived,
    Nack,
    NeighbourJoined,
    NeighbourLeft,
    Offer,
    Passed,
    PeerId,
    Plan,
    PlanMember,
    Recheck,
    Renew,
    Request,
    Role,
    Send,
    SendChunk,
    Tick,
    Unfit,
    Wire,
)
from strew.swarm.layout import FANOUT
from strew.swarm.neighbour import Neighbour
from strew.swarm.slots import PUSH_SLOTS_MIN, UploadSlots
from strew.swarm.swarm import Swarm

KEY = 7
CHUNK_BYTES = 1000
ALL = "all"


def member(name: str) -> PlanMember:
    return PlanMember(name, "10.0.0.1", 7301)


def plan(
    *groups: Sequence[str],
    version: int = 1,
    origin: str = "origin",
    fanout: int = FANOUT,
    me: str = "m",
) -> Plan:
    """The plan as `me` is told it. Groups as words of members: plan("ab", "cm")."""
    group, place = next(
        ((g, members.index(me)) for g, members in enumerate(groups) if me in members), (-1, -1)
    )
    named = [[member(m) for m in g] for g in groups]
    return Plan(KEY, version, origin, fanout, named, group, place)


def shown(action: Action) -> str:
    match action:
        case Send(peer, message):
            return f"{peer}: {said(message)}"
        case SendChunk(peer, _, index, role):
            return f"{peer} << {index} {Role(role).name.lower()}"
        case CancelSend(peer, _, index):
            return f"unsend {peer} {index}"
        case Discard(peer, _, index):
            return f"discard {peer} {index}"
        case Drop(peer):
            return f"drop {peer}"
        case Recheck(_, index):
            return f"recheck {index}"
        case Meet(_, members):
            return "meet " + " ".join(sorted(m.id for m in members))
        case Completed():
            return "completed"
    raise AssertionError(action)


def said(message: Wire) -> str:
    name = type(message).__name__
    match message:
        case Have(_, named) | Passed(_, named) | Unfit(_, named) | Gone(_, named):
            return " ".join([name, *map(str, named)])
        case Request() | Renew() | Nack() | Cancel() | BadChunk():
            return f"{name} {message.index}"
        case Plan():
            return f"Plan v{message.version}"
    return name


class Board:
    """The swarm of node `m` with `chunks` chunks of 1000 bytes, at time 100 s."""

    def __init__(
        self,
        chunks: int = 100,
        *,
        have: Iterable[int] | str = (),
        origin: bool = False,
        zone: str = "",
        fit: bool = True,
        slots: int = 3,
        push_slots: int = PUSH_SLOTS_MIN,
        credit: int = 3,
        me: str = "m",
    ) -> None:
        self.now = 100.0
        self.chunks = chunks
        self.slots = UploadSlots(slots)
        self.slots.push_limit = push_slots
        self.swarm = Swarm(
            KEY,
            PeerId(me),
            [CHUNK_BYTES] * chunks,
            self.bits(ALL if origin else have),
            self.slots,
            random.Random(1),
            zone=zone,
            origin=origin,
            fit=fit,
            credit=credit,
        )
        self.drops: list[tuple[str, str, float]] = []

    def bits(self, have: Iterable[int] | str) -> Bitfield:
        field = Bitfield.full(self.chunks) if have == ALL else Bitfield(self.chunks)
        if not isinstance(have, str):
            field.update(have)
        return field

    def neighbour(self, name: str) -> Neighbour:
        return self.swarm.neighbours[PeerId(name)]

    # --- moves -----------------------------------------------------------------------------------

    def play(self, event: Event) -> list[str]:
        actions = self.swarm.handle(event, self.now)
        self.drops += [(a.peer, a.reason, a.ban_s) for a in actions if isinstance(a, Drop)]
        return [shown(action) for action in actions]

    def hears(self, name: str, message: Wire) -> list[str]:
        return self.play(MessageReceived(PeerId(name), message))

    def joins(
        self,
        name: str,
        have: Iterable[int] | str = (),
        *,
        zone: str = "",
        origin: bool = False,
        fit: bool = True,
    ) -> list[str]:
        event = NeighbourJoined(PeerId(name), self.bits(ALL if origin else have), zone, origin, fit)
        return self.play(event)

    def leaves(self, name: str) -> list[str]:
        return self.play(NeighbourLeft(PeerId(name), "gone"))

    def says_leave(self, name: str) -> list[str]:
        return self.hears(name, Leave(KEY))

    def has(self, name: str, *indexes: int) -> list[str]:
        return self.hears(name, Have(KEY, list(indexes)))

    def offers(self, name: str) -> list[str]:
        return self.hears(name, Offer(KEY))

    def closes(self, name: str) -> list[str]:
        return self.hears(name, Close(KEY))

    def requests(self, name: str, index: int) -> list[str]:
        return self.hears(name, Request(KEY, index))

    def renews(self, name: str, index: int) -> list[str]:
        return self.hears(name, Renew(KEY, index))

    def refuses(self, name: str, index: int) -> list[str]:
        return self.hears(name, Nack(KEY, index))

    def cancels(self, name: str, index: int) -> list[str]:
        return self.hears(name, Cancel(KEY, index))

    def passed(self, name: str, *indexes: int) -> list[str]:
        return self.hears(name, Passed(KEY, list(indexes)))

    def complains(self, name: str, index: int) -> list[str]:
        return self.hears(name, BadChunk(KEY, index))

    def begins(self, name: str, index: int, role: Role = Role.SERVED, plan: int = 0) -> list[str]:
        return self.play(ChunkArriving(PeerId(name), KEY, index, role, plan))

    def stores(self, name: str, index: int) -> list[str]:
        return self.play(ChunkStored(PeerId(name), KEY, index))

    def brings(self, name: str, index: int, role: Role = Role.SERVED, plan: int = 0) -> list[str]:
        """A chunk's header comes, and all of it at once. `plan` is its tag."""
        begun = self.begins(name, index, role, plan)
        assert f"discard {name} {index}" not in begun
        return begun + self.stores(name, index)

    def corrupts(self, name: str, index: int) -> list[str]:
        return self.play(ChunkCorrupt(PeerId(name), KEY, index))

    def aborts(self, name: str, index: int) -> list[str]:
        return self.play(ChunkAborted(PeerId(name), KEY, index))

    def rots(self, index: int) -> list[str]:
        return self.play(ChunkRotten(KEY, index))

    def sent(self, name: str, index: int) -> list[str]:
        return self.play(ChunkSent(PeerId(name), KEY, index))

    def not_sent(self, name: str, index: int) -> list[str]:
        return self.play(ChunkNotSent(PeerId(name), KEY, index))

    def names(self, *members: str, zone: str = "", seen: bool = False) -> list[str]:
        return self.play(MembersNamed(tuple((member(m), zone) for m in members), seen))

    def wait(self, seconds: float) -> list[str]:
        """Time passes; the swarm gets the ticks it asked for."""
        until_s = self.now + seconds
        lines: list[str] = []
        rounds = 0
        while (due_s := self.swarm.deadline()) is not None and due_s <= until_s:
            self.now = max(self.now, due_s)
            lines += self.play(Tick())
            rounds += 1
            assert rounds < 2 + seconds * 100, "the swarm asks for ticks without end"
        self.now = until_s
        return lines
