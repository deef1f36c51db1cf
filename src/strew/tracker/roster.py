"""The members of one swarm, kept so that drawing some of them does not cost looking at all."""

import random

from strew.announce.records import Candidate, NodeRecord
from strew.messages import PeerId


class Draw:
    """A set from which random members can be drawn in time that does not grow with it."""

    __slots__ = ("_members", "_places")

    def __init__(self) -> None:
        self._members: list[PeerId] = []
        self._places: dict[PeerId, int] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._places

    def add(self, peer: PeerId) -> None:
        """Put a member in; nothing happens if it is in."""
        if peer not in self._places:
            self._places[peer] = len(self._members)
            self._members.append(peer)

    def discard(self, peer: PeerId) -> None:
        """Take a member out; nothing happens if it is not in."""
        place = self._places.pop(peer, None)
        if place is None:
            return
        last = self._members.pop()
        if last != peer:
            self._members[place] = last
            self._places[last] = place

    def drawn(self, limit: int, dice: random.Random) -> list[PeerId]:
        """`limit` different members, all if there are no more."""
        if limit >= len(self._members):
            return list(self._members)
        return dice.sample(self._members, limit)


class Roster:
    """The members of one swarm: by zone, those that hold everything, how often each was dealt."""

    __slots__ = ("_everyone", "_handed", "_holders", "_zone_of", "_zones")

    def __init__(self) -> None:
        self._everyone = Draw()
        self._holders = Draw()
        self._zones: dict[str, Draw] = {}
        self._zone_of: dict[PeerId, str] = {}
        self._handed: dict[PeerId, int] = {}

    def __len__(self) -> int:
        return len(self._everyone)

    @property
    def has_holder(self) -> bool:
        """Whether some member holds all."""
        return len(self._holders) > 0

    def put(self, peer: PeerId, zone: str, *, complete: bool) -> None:
        """Add a member, or change what is known of one."""
        earlier = self._zone_of.get(peer)
        if earlier is not None and earlier != zone:
            self._leave_zone(peer, earlier)
        if earlier != zone:
            self._zone_of[peer] = zone
            self._zones.setdefault(zone, Draw()).add(peer)
        self._everyone.add(peer)
        if complete:
            self._holders.add(peer)
        else:
            self._holders.discard(peer)

    def discard(self, peer: PeerId) -> None:
        """Remove a member; nothing happens if it is none."""
        zone = self._zone_of.pop(peer, None)
        if zone is None:
            return
        self._leave_zone(peer, zone)
        self._everyone.discard(peer)
        self._holders.discard(peer)
        self._handed.pop(peer, None)

    def dealt(self, peers: tuple[PeerId, ...]) -> None:
        """Count that these were handed out."""
        for peer in peers:
            if peer in self._zone_of:
                self._handed[peer] = self._handed.get(peer, 0) + 1

    def candidates(
        self,
        records: dict[PeerId, NodeRecord],
        zone: str,
        limit: int,
        dice: random.Random,
    ) -> list[Candidate]:
        """As RegistryView.candidates; `records` has every member."""
        drawn = self._everyone.drawn(limit, dice)
        if len(drawn) < len(self._everyone):
            near = self._zones.get(zone)
            drawn += near.drawn(limit, dice) if near is not None else []
            drawn += self._holders.drawn(limit, dice)
        return [
            Candidate(records[peer].peer, peer in self._holders, self._handed.get(peer, 0))
            for peer in dict.fromkeys(drawn)
        ]

    def _leave_zone(self, peer: PeerId, zone: str) -> None:
        draw = self._zones[zone]
        draw.discard(peer)
        if not draw:
            del self._zones[zone]
