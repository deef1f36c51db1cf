"""Sources: whoever names peers to this node. Today trackers; the node asks, and hears one answer.

Sources stand side by side, none is believed over a dial, and any may be absent: what one named
stays known while it is silent.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from typing import Any

from strew.announce.announcer import Announcer, AnnouncerEvent, HoldingsChanged
from strew.announce.protocol import HOLDINGS_MAX, WANTS_MAX, Announce, Holding
from strew.messages import Action, PeerId
from strew.node.participation import Participation


class Sources:
    """What the node tells them is its whole state, each time: see `tell`."""

    def __init__(
        self,
        me: PeerId,
        dice: random.Random,
        now: float,
        *,
        host: str,
        port: int,
        zone: str,
        follows: Sequence[str],
        trackers: Sequence[str],
        limited: bool,
    ) -> None:
        self._me = me
        self._host = host
        self._port = port
        self._zone = zone
        self._follows = tuple(follows)
        self._announcer = Announcer(tuple(trackers), dice, now, limited=limited)

    def handle(self, event: AnnouncerEvent, now: float) -> list[Action]:
        """What a source said, or that time passed."""
        return self._announcer.handle(event, now)

    def deadline(self) -> float | None:
        """When they want a Tick, with the newest state told just before."""
        return self._announcer.deadline()

    def snapshot(self, now: float) -> dict[str, Any]:
        """Plain data for status and dashboard."""
        return {"announcer": self._announcer.snapshot(now)}

    def tell(
        self,
        parts: Collection[Participation],
        aside: Collection[Holding],
        now: float,
        *,
        urgent: bool = False,
        leaving: bool = False,
    ) -> list[Action]:
        """This is what the node holds and wants; `aside` is what it holds in no swarm."""
        newest = list(parts)[-HOLDINGS_MAX:]
        announce = Announce(
            node=self._me,
            port=self._port,
            zone=self._zone,
            host=self._host,
            follows=self._follows,
            holdings=(*aside, *(part.holding() for part in newest))[-HOLDINGS_MAX:],
            wants=tuple(part.artifact for part in newest if part.wants_peers(now))[-WANTS_MAX:],
            leaving=leaving,
        )
        return self._announcer.handle(HoldingsChanged(announce, urgent), now)
