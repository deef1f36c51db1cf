"""What a node that follows names does when one of them is given to an artifact."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from strew.node import Obtain
from strew.publication import Publication

if TYPE_CHECKING:
    from strew.agent.agent import Agent

_log = structlog.get_logger(__name__)


class Follower:
    """Fetches the newest publication of each published name into one folder.

    Publications that come together are looked at together, so that a node that was away for three
    versions fetches only the last. Older versions than the one taken last are never taken.
    """

    def __init__(self, into: Path) -> None:
        self._into = into
        self.agent: Agent | None = None
        self._news: dict[str, Obtain] = {}
        self._taken: dict[str, Publication] = {}

    def heard(self, obtain: Obtain) -> None:
        """A followed name was given to an artifact."""
        name = obtain.publication.name
        known = self._taken.get(name)
        if known is not None and known.version >= obtain.publication.version:
            return
        waiting = self._news.get(name)
        if waiting is not None and waiting.publication.version > obtain.publication.version:
            return
        if not self._news:
            asyncio.get_running_loop().call_soon(self._take)
        self._news[name] = obtain

    def _take(self) -> None:
        news, self._news = self._news, {}
        agent = self.agent
        assert agent is not None
        for name, obtain in news.items():
            publication = obtain.publication
            earlier = self._taken.get(name)
            if earlier is not None and earlier.artifact != publication.artifact:
                agent.fetches.abandon(earlier.artifact)
            self._taken[name] = publication
            _log.info("fetching", reference=publication.reference, artifact=publication.artifact)
            agent.fetches.fetch(
                publication.artifact,
                None,
                manifest=obtain.manifest,
                reference=publication.reference,
                as_name_in=self._into,
                holder=obtain.holder,
            )
