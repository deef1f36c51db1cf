"""Publications that this node heard of, follows, and has not asked for yet.

In a large fleet nodes announce one after another, lest the tracker choke; and if each fetched the
manifest there, or from whoever published, that would cost the origin a good part of the file. But
whoever connects with a node in order to send it an artifact has the manifest: the news alone is
enough to begin, and manifests travel the way the chunks will. Only who was not met by a random
moment of its own asks a machine that gossip named.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from strew.gossip.protocol import Holder
from strew.messages import Action, Event, swarm_key_of
from strew.publication import Admits, Publication

HEARD_MAX = 64
"""Publications kept; the oldest is forgotten, and comes with the next announce."""

HANDOUT_WITHIN_S = 5.0
"""Whoever heard of a publication from a tracker's stream is named peers by a handout, or met by one
of them, in this time after its turn to announce. Then it asks without: the tracker it announces to
need not be the one that published. Lower: a busy tracker is asked for manifests too; higher: such
a node begins later."""

Address = tuple[str, int]


class Published(Event, frozen=True):
    """A tracker's stream told of a publication this node follows; announces are to be spread over
    `spread_s` seconds, 0 in a small fleet."""

    publication: Publication
    spread_s: float = 0.0


class PublishedHere(Event, frozen=True):
    """A name was given to an artifact at this very node, which is its origin: no tracker has to
    know."""

    publication: Publication


class Remembered(Event, frozen=True):
    """Members told of this name in an earlier life of the node, and where it could be fetched."""

    publication: Publication
    holders: tuple[Holder, ...]


class Obtain(Action, frozen=True):
    """A followed name was given to an artifact: get its manifest and open the store for it.

    Answered by `Opened`, sooner or later; `manifest` is empty if it did not come along. `holder` is
    the address of a peer that has it, and should be asked before any tracker.
    """

    publication: Publication
    manifest: bytes
    holder: Address | None = None


@dataclass(slots=True)
class Heard:
    """One publication. From `due_s` on `holder` is asked, if nobody was met before."""

    publication: Publication
    holder: Address | None
    due_s: float


class News:
    """By swarm key; whoever is named here waits for an announce or for a peer that has it."""

    def __init__(self) -> None:
        self._heard: dict[int, Heard] = {}

    def hear(
        self, publication: Publication, holder: Address | None = None, due_s: float = math.inf
    ) -> None:
        """It was published; `holder` is where, as far as gossip says."""
        key = swarm_key_of(publication.artifact)
        known = self._heard.get(key)
        if known is not None:
            if due_s < known.due_s:
                known.holder, known.due_s = holder, due_s
            return
        while len(self._heard) >= HEARD_MAX:
            del self._heard[next(iter(self._heard))]
        self._heard[key] = Heard(publication, holder, due_s)

    def obtain(self, key: int, holder: Address) -> list[Action]:
        """A peer takes part in this swarm: if the node heard of it, that is where to begin."""
        heard = self._heard.pop(key, None)
        return [] if heard is None else [Obtain(heard.publication, b"", holder)]

    def due(self, now: float) -> list[Action]:
        """What nobody was met for in time."""
        keys = [key for key, heard in self._heard.items() if heard.due_s <= now]
        late = [self._heard.pop(key) for key in keys]
        return [Obtain(heard.publication, b"", heard.holder) for heard in late]

    def next_due_s(self) -> float | None:
        """When `due` should be called."""
        due_s = min((heard.due_s for heard in self._heard.values()), default=math.inf)
        return None if due_s == math.inf else due_s

    def keep_only(self, admits: Admits) -> None:
        """Forget publications that are not believed any more."""
        self._heard = {key: h for key, h in self._heard.items() if admits(h.publication)}

    def settle(self, key: int) -> None:
        """It was asked for in another way."""
        self._heard.pop(key, None)
