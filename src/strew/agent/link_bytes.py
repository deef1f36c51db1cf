"""What went over each link in the last seconds, and over all of them since the process began."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from strew.messages import PeerId
from strew.telemetry.protocol import LINKS_MAX, LINKS_OVER_S, LinkTelemetry
from strew.transfer.peer import PeerLink

NOTED_EVERY_S: Final = 1.0
"""How often each link's bytes are noted. Lower: more notes of forty links each; higher: what is
told is of a longer time than LINKS_OVER_S."""


class LinkBytes:
    """Told of links that are gone, and looked at while something is under way."""

    def __init__(self, links: Mapping[PeerId, PeerLink]) -> None:
        self._links = links
        self._gone_received_bytes = 0
        self._gone_sent_bytes = 0
        self._noted: deque[tuple[float, dict[PeerId, tuple[int, int]]]] = deque()

    def gone(self, link: PeerLink) -> None:
        """A link has ended; its bytes still count."""
        self._gone_received_bytes += link.received_bytes
        self._gone_sent_bytes += link.sent_bytes

    def totals(self, now: float) -> tuple[int, int]:
        """Bytes received and sent; what each link moved is noted now and then."""
        received, sent = self._gone_received_bytes, self._gone_sent_bytes
        for link in self._links.values():
            received += link.received_bytes
            sent += link.sent_bytes
        noted = self._noted
        if not noted or now - noted[-1][0] >= NOTED_EVERY_S:
            moved = {p: (of.received_bytes, of.sent_bytes) for p, of in self._links.items()}
            noted.append((now, moved))
            while len(noted) > 1 and noted[1][0] <= now - LINKS_OVER_S:
                noted.popleft()
        return received, sent

    def rest(self) -> None:
        """Nothing is under way: what was noted grows old."""
        self._noted.clear()

    def told(self) -> tuple[LinkTelemetry, ...]:
        """What went over each link in the last LINKS_OVER_S, those with the most first."""
        before = self._noted[0][1] if self._noted else {}
        found = []
        for peer, link in self._links.items():
            received, sent = before.get(peer, (0, 0))
            # a new link to the same peer counts anew
            received, sent = link.received_bytes - received, link.sent_bytes - sent
            if received > 0 or sent > 0:
                found.append(LinkTelemetry(peer, max(0, sent), max(0, received)))
        found.sort(key=lambda of: (-of.sent_bytes - of.received_bytes, of.peer))
        return tuple(found[:LINKS_MAX])
