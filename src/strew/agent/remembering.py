"""Names that outlive the process: what members told of is kept beside the store.

A fleet without a tracker has its names in its members' memories alone; should all of them restart
at once, these would be gone. So each member keeps what it knows in a file, and tells it again when
it starts. What it gave itself is written before the publisher hears that it was given.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from strew.gossip.names import NAMES_MAX
from strew.gossip.protocol import Named
from strew.node import Remembered
from strew.store.posix import write_whole

if TYPE_CHECKING:
    from strew.agent.agent import Agent

NAMES_FILE = "names.json"

SAVE_EVERY_S = 5.0
"""How often it is looked whether there is something new. Lower: more writes while much is
published; higher: more is lost where all members are killed at once."""

_log = structlog.get_logger(__name__)
_decoder = msgspec.json.Decoder(list[Named])


class Memory:
    """The names of one agent, in `folder`."""

    def __init__(self, agent: Agent, folder: Path) -> None:
        self._agent = agent
        self._path = folder / NAMES_FILE
        self._saved: list[Named] = []
        self._saving = threading.Lock()

    def recall(self) -> None:
        """Tell the node what was known in its earlier life; a file that cannot be read is left."""
        try:
            self._saved = _decoder.decode(self._path.read_bytes())[:NAMES_MAX]
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            file, reason = str(self._path), str(error)
            _log.warning("names of an earlier life cannot be read", file=file, reason=reason)
            return
        for named in self._saved:
            publication = self._agent.trusting.adopt(named.publication)
            self._agent.tell(Remembered(publication, named.holders))

    async def keep(self) -> None:
        """Save what is new, now and then, for ever."""
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            await asyncio.to_thread(self.save)

    def save(self) -> None:
        """Write what is known now; the file is whole or the one before, also after a kill. A disk
        that is full or gone is told of: names can be lost, files are not."""
        with self._saving:
            self._save()

    def _save(self) -> None:
        node = self._agent.node
        names = node.gossip.names() if node is not None and node.gossip is not None else []
        if names == self._saved:
            return
        try:
            write_whole(self._path, msgspec.json.encode(names))
        except OSError as error:
            _log.warning("names cannot be kept", file=str(self._path), reason=str(error))
        else:
            self._saved = names
