"""Telling the tracker what this node's transfers do, for people to see: now and then, at leisure.

Nothing waits for it, and a message that is lost is replaced by the next. The tracker says how long
to wait until then; what is over is told at once, or soon after in a fleet where many are.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Final

import structlog

from strew.errors import StrewError

if TYPE_CHECKING:
    from strew.agent.agent import Agent

FIRST_S: Final = 1.0
"""From the begin of a transfer to the first message, at most, and between messages until a tracker
has said how often it wants one. Lower: a fleet's start costs its tracker more; higher: what is over
within it is seen only when it is over."""

NEXT_MIN_S: Final = 0.1
NEXT_MAX_S: Final = 300.0
"""A tracker's word on when to tell the next counts within these."""

RETRY_FIRST_S: Final = 1.0
RETRY_MAX_S: Final = 60.0
"""Waits after a message that failed, doubled each time. One of these failures is an older tracker
that has no such route: it is asked once a minute."""

SPREAD_RATIO: Final = 0.25
"""What is over is told within so much of the tracker's wait: a large fleet, which is done all at
once, is heard over that time. No time that is told hangs on it."""

FAREWELL_S: Final = 1.0
"""How long a process that ends waits for the last message. Longer: `strew get` ends later where a
tracker is slow; shorter: what it did is missing in the report."""

_log = structlog.get_logger(__name__)


class Telemetering:
    """One task for each agent that announces: `keep` runs until it is cancelled."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._changed = asyncio.Event()
        self._last_line = 0
        self._next_s = FIRST_S
        self._retry_s = RETRY_FIRST_S
        self._owes_end = False
        """Whether the last message was of something under way: the next says that it no longer is.
        """
        agent.sampler.on_change = self._changed.set

    @property
    def _due(self) -> bool:
        sampler = self._agent.sampler
        return sampler.under_way or sampler.has_news or self._owes_end

    async def keep(self) -> None:
        """Tell, while there is something to tell, for ever."""
        while True:
            self._changed.clear()
            if not self._due:
                await self._changed.wait()
                await asyncio.sleep(random.uniform(0.5, 1.0) * min(self._next_s, FIRST_S))
            elif not self._agent.sampler.has_news or self._retry_s > RETRY_FIRST_S:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._next_s):
                        await self._changed.wait()
            if self._agent.sampler.has_news and self._retry_s == RETRY_FIRST_S:
                await asyncio.sleep(random.uniform(0.0, SPREAD_RATIO) * self._next_s)
            if self._due:
                await self._tell()

    async def _tell(self) -> None:
        """One message; it sets when the next is due."""
        agent = self._agent
        tracker = agent.trackers.answering
        if tracker is None or agent.node is None:
            self._back_off()
            return
        self._owes_end = agent.sampler.under_way
        told = agent.sampler.telemetry(self._last_line)
        try:
            wanted = await agent.trackers.client(tracker).telemetry(told.telemetry)
        except StrewError as error:
            _log.debug("telemetry not told", tracker=tracker, reason=error.message)
            self._back_off()
            return
        self._last_line = told.last_line
        for course in told.ended:
            course.told = True
        self._retry_s = RETRY_FIRST_S
        self._next_s = min(max(wanted.next_s, NEXT_MIN_S), NEXT_MAX_S)

    def _back_off(self) -> None:
        self._owes_end = False
        self._next_s = self._retry_s
        self._retry_s = min(2.0 * self._retry_s, RETRY_MAX_S)

    async def farewell(self) -> None:
        """Before the process ends: tell what is over and was not told."""
        if self._agent.sampler.has_news and self._agent.trackers.answering is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await self._tell()
