"""What an origin keeps whatever its store's limit says: artifacts that a name still names."""

from __future__ import annotations

import structlog

from strew.content.digest import ArtifactId
from strew.errors import NotFoundError
from strew.publication import Publication
from strew.store.store import ChunkStore

_log = structlog.get_logger(__name__)


class Pins:
    """An artifact is pinned when it is pushed; it is let go when its last name moves on.

    Only names that were heard count: an artifact that was pushed and has no name yet stays.
    """

    def __init__(self, store: ChunkStore) -> None:
        self._store = store
        self._named: dict[str, ArtifactId] = {}

    def heard(self, publication: Publication) -> None:
        """A name was given to an artifact; what it named before may be dropped when space runs
        short."""
        earlier = self._named.get(publication.reference)
        self._named[publication.reference] = publication.artifact
        if earlier is None or earlier in self._named.values():
            return
        try:
            self._store.unpin(earlier)
        except NotFoundError:
            return
        _log.info("no longer named", artifact=earlier, reference=publication.reference)
