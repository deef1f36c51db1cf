"""Publications that a tracker's stream told, and that this node has not asked for yet.

In a large fleet nodes announce one after another, lest the tracker choke; and if each fetched the
manifest there, that would cost the origin a good part of the file. But whoever connects with a node
in order to send it an artifact has the manifest: the news alone is enough to begin, and manifests
travel the way the chunks will.
"""

from __future__ import annotations

from strew.messages import Action, Event, swarm_key_of
from strew.publication import Publication

HEARD_MAX = 64
"""Publications kept; the oldest is forgotten, and comes with the next announce."""


class Published(Event, frozen=True, gc=False):
    """A tracker's stream told of a publication this node follows; announces are to be spread over
    `spread_s` seconds, 0 in a small fleet."""

    publication: Publication
    spread_s: float = 0.0


class Obtain(Action, frozen=True, gc=False):
    """A followed name was given to an artifact: get its manifest and open the store for it.

    Answered by `Opened`, sooner or later; `manifest` is empty if it did not come along. `holder` is
    the address of a peer that has it, and should be asked before any tracker.
    """

    publication: Publication
    manifest: bytes
    holder: tuple[str, int] | None = None


class News:
    """By swarm key; whoever is named here waits for an announce or for a peer that has it."""

    def __init__(self) -> None:
        self._heard: dict[int, Publication] = {}

    def hear(self, publication: Publication) -> None:
        """It was published, and nothing is known of where it is."""
        while len(self._heard) >= HEARD_MAX:
            del self._heard[next(iter(self._heard))]
        self._heard[swarm_key_of(publication.artifact)] = publication

    def obtain(self, key: int, holder: tuple[str, int]) -> list[Action]:
        """A peer takes part in this swarm: if the node heard of it, that is where to begin."""
        publication = self._heard.pop(key, None)
        return [] if publication is None else [Obtain(publication, b"", holder)]

    def settle(self, key: int) -> None:
        """It was asked for in another way."""
        self._heard.pop(key, None)
