"""Suspects: machines of a plan that others say are gone, and that its origin looks for itself.

Whoever says so may be wrong, or lie: one that was dropped for what it sent finds that the honest
machine that dropped it is not there any more. So nobody is taken out of a plan on another's word:
the origin dials who is suspected, and confirms who does not come (a suspicion before the verdict,
as in SWIM: Das, Gupta and Motivala, DSN 2002, section 4.2).
"""

from __future__ import annotations

from collections.abc import Callable

from strew.messages import PeerId

ANSWER_S = 1.0
"""Who is suspected and is not linked with the origin so long after is gone, until it comes."""

SUSPECTS_MAX = 32
"""Looked for at once. What is said of more is not heard: it is said again of the next plan."""


class Suspects:
    """The suspected, by when the origin began to look for them."""

    def __init__(self) -> None:
        self._since_s: dict[PeerId, float] = {}

    def suspect(self, peer: PeerId, now: float) -> bool:
        """Whether the origin is to dial it: nobody is looked for twice at once."""
        if peer in self._since_s or len(self._since_s) >= SUSPECTS_MAX:
            return False
        self._since_s[peer] = now
        return True

    def confirmed(self, present: Callable[[PeerId], bool], now: float) -> list[PeerId]:
        """Who did not come in time, once each; who came is suspected no more."""
        gone: list[PeerId] = []
        for peer, since_s in list(self._since_s.items()):
            if present(peer):
                del self._since_s[peer]
            elif now >= since_s + ANSWER_S:
                del self._since_s[peer]
                gone.append(peer)
        return gone
