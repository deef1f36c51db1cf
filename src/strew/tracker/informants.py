"""What nodes told of themselves beside artifacts: links, bans and events, of each the last."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from strew.messages import PeerId
from strew.telemetry.protocol import LINKS_OVER_S, LinkTelemetry, Telemetry
from strew.telemetry.view import EVENTS_SHOWN_MAX, MachineBan, MachineEvent

INFORMANTS_MAX: Final = 20_000
"""Nodes remembered, those that told last; as many as a tracker keeps."""

EVENTS_ALL_MAX: Final = 100_000
"""Events of all nodes together, some 20 MB: the more nodes, the fewer of each."""

EVENTS_EACH_MIN: Final = 5

FRESH_S: Final = 2 * LINKS_OVER_S
"""Links and bans told longer ago are not shown. They are told again with each message, of which the
largest fleets send one in so long."""


class Informant:
    """What one node told. Times are unix seconds of the tracker's clock."""

    __slots__ = ("bans", "events", "links", "told_s")

    def __init__(self) -> None:
        self.told_s = 0.0
        self.links: tuple[LinkTelemetry, ...] = ()
        self.bans: tuple[MachineBan, ...] = ()
        self.events: deque[MachineEvent] = deque()


class Informants:
    """All nodes that told something."""

    def __init__(self) -> None:
        self._of: dict[PeerId, Informant] = {}

    def tell(self, told: Telemetry, now: float) -> None:
        """A message came; its events are placed by the tracker's own clock."""
        informant = self._of.pop(told.node, None)
        if informant is None:
            informant = Informant()
            if len(self._of) >= INFORMANTS_MAX:
                del self._of[next(iter(self._of))]
        self._of[told.node] = informant
        informant.told_s = now
        informant.links = told.links
        informant.bans = tuple(
            MachineBan(id=ban.peer, reason=ban.reason, for_s=ban.for_s) for ban in told.bans
        )
        events = informant.events
        for event in told.events:
            events.append(MachineEvent(at_unix_s=now - event.ago_s, text=event.text))
        most = max(EVENTS_EACH_MIN, min(EVENTS_SHOWN_MAX, EVENTS_ALL_MAX // len(self._of)))
        while len(events) > most:
            events.popleft()

    def fade(self, now: float) -> None:
        """Let go of links and bans that are shown no more; those of 20,000 nodes take 200 MB."""
        for informant in self._of.values():
            if now - informant.told_s <= FRESH_S:
                break  # they stand in the order in which they told
            informant.links, informant.bans = (), ()

    def of(self, peer: PeerId) -> Informant | None:
        """What one told."""
        return self._of.get(peer)

    def links(self, now: float) -> Mapping[PeerId, tuple[LinkTelemetry, ...]]:
        """The fresh links of all."""
        return {
            peer: informant.links
            for peer, informant in self._of.items()
            if informant.links and now - informant.told_s <= FRESH_S
        }

    def bans(self, now: float) -> Mapping[PeerId, tuple[int, str]]:
        """How many nodes do not deal with a peer, and a reason of theirs."""
        found: dict[PeerId, tuple[int, str]] = {}
        for informant in self._of.values():
            if now - informant.told_s > FRESH_S:
                continue
            for ban in informant.bans:
                count, reason = found.get(ban.id, (0, ban.reason))
                found[ban.id] = (count + 1, reason)
        return found

    def telling(self, now: float, within_s: float) -> int:
        """How many told something in this time; the last ones stand last."""
        count = 0
        for informant in reversed(self._of.values()):
            if now - informant.told_s > within_s:
                break
            count += 1
        return count
