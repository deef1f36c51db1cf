"""Signatures over manifests, gathered after a transfer has ended.

No transfer waits for them: the name's record says by whom the artifact was published, and digests
say that its bytes are the right ones. They are for whoever checks later, with `strew verify` or
with tools of others. So each node asks somebody at a moment of its own, and a fleet that is done at
once does not ask its tracker at once.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from strew.agent.transfer import Transfer
from strew.errors import StrewError
from strew.tracker.location import HELD

if TYPE_CHECKING:
    from strew.agent.agent import Agent

FIRST_WITHIN_S = 2.0
"""After a transfer, in a small fleet."""

ASKED_PER_S = 50.0
"""How many nodes of a large fleet ask in a second: as many as a tracker answers beside its work."""

ROUNDS = 3
AGAIN_S = 30.0
"""Who publishes keeps the signatures a moment after the name; somebody has them soon."""


async def gather(agent: Agent, transfer: Transfer) -> None:
    """Keep the signatures over the manifest of a transfer that has ended, if anybody has them."""
    trusting, manifest = agent.trusting, transfer.manifest
    assert manifest is not None and agent.node is not None
    if trusting.records is None or trusting.records.signatures(manifest.id):
        return
    within_s = FIRST_WITHIN_S + agent.trackers.fleet_size / ASKED_PER_S
    for _ in range(ROUNDS):
        await asyncio.sleep(random.uniform(0.0, within_s))
        for client in agent.trackers.holders(transfer):
            try:
                opened = await client.envelope(manifest.id, f"?{HELD}=1")
                await asyncio.to_thread(
                    trusting.witness, manifest.id, manifest.raw, opened.signatures
                )
            except StrewError:
                continue  # not there, or signed by nobody trusted here: somebody else may have it
            return
        within_s = AGAIN_S
