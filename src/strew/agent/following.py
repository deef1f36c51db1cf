"""What a node that follows names does when one of them is given to an artifact."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from strew.agent.fetches import DISK_RETRY_S
from strew.errors import DiskError
from strew.node import Obtain
from strew.publication import Publication

if TYPE_CHECKING:
    from strew.agent.agent import Agent

_log = structlog.get_logger(__name__)


class Follower:
    """Fetches the newest publication of each published name into one folder.

    Publications that come together are looked at together, so that a node that was away for three
    versions fetches only the last. Older versions than the one taken last are never taken, also not
    by a later life of the node: that one was taken is on disk before its fetch begins.
    """

    def __init__(self, into: Path) -> None:
        self._into = into
        self.agent: Agent | None = None
        self._news: dict[str, Obtain] = {}
        self._taken: dict[str, Publication] = {}
        self._waits = False

    def heard(self, obtain: Obtain) -> None:
        """A followed name was given to an artifact."""
        name = obtain.publication.name
        known = self._taken.get(name)
        if known is not None and known.version >= obtain.publication.version:
            return
        waiting = self._news.get(name)
        if waiting is not None and waiting.publication.version > obtain.publication.version:
            return
        self._news[name] = obtain
        if not self._waits:
            self._waits = True
            asyncio.get_running_loop().call_soon(self._take)

    def judge_again(self) -> None:
        """Other keys are trusted than before: leave what is being fetched by a name that is not
        believed any more. What is in place stays there, and may be replaced by any version."""
        agent = self.agent
        assert agent is not None
        for name, publication in list(self._taken.items()):
            if not agent.trusting.admits(publication):
                _log.warning("left, its name is not believed any more", name=name)
                del self._taken[name]
                agent.fetches.abandon(publication.artifact)

    def _take(self) -> None:
        self._waits = False
        agent = self.agent
        assert agent is not None
        told = [obtain.publication for obtain in self._news.values()]
        try:
            good = agent.trusting.begin(told, time.time())
        except DiskError as error:
            _log.warning("fetches wait for the disk", reason=str(error))
            self._waits = True
            asyncio.get_running_loop().call_later(DISK_RETRY_S, self._take)
            return
        news, self._news = self._news, {}
        for obtain in news.values():
            if obtain.publication in good:
                self._fetch(agent, obtain)

    def _fetch(self, agent: Agent, obtain: Obtain) -> None:
        publication = obtain.publication
        earlier = self._taken.get(publication.name)
        if earlier is not None and earlier.artifact != publication.artifact:
            agent.fetches.abandon(earlier.artifact)
        self._taken[publication.name] = publication
        _log.info("fetching", reference=publication.reference, artifact=publication.artifact)
        agent.fetches.fetch(
            publication.artifact,
            None,
            manifest=obtain.manifest,
            reference=publication.reference,
            as_name_in=self._into,
            holder=obtain.holder,
            version=publication.version,
        )
