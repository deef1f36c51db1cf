"""Whether a running node really shares: what `strew doctor` asks it."""

import asyncio
from collections.abc import Iterator
from typing import Any

from strew.agent.client import NodeReport
from strew.agent.quantity import MIB, format_duration, format_size
from strew.agent.settings import Settings
from strew.cli.checkup import Finding
from strew.cli.connection import connected_to
from strew.cli.fleetkey import fleet_key
from strew.content.reference import Address
from strew.errors import ConfigurationError, DeniedError, NotFoundError, StrewError

CHECK = "sharing"

TAKEN_BYTES = 64 * MIB
"""A node that received so much and sent nothing, in a fleet of three and more, is not reached. Less
may have come to it last of all."""

SUSPECTS_RATIO = 0.1
"""Of the members, as in the alert StrewMembersSuspect: one that dies is suspect for seconds, and a
tenth of a fleet at once is a network."""

ASK_WITHIN_S = 3.0
"""For each process: one on this machine answers in milliseconds."""


def sharing(settings: Settings) -> Iterator[Finding]:
    """Ask the processes at --at and --listen: one finding for each that answers, else one."""
    asked = [settings.at, settings.listen] if settings.listen.port else [settings.at]
    answered = False
    for address in dict.fromkeys(asked):
        finding = asyncio.run(_look(settings, address))
        if finding is not None:
            answered = True
            yield finding
    if not answered:
        where = " nor ".join(map(str, dict.fromkeys(asked)))
        remedy = "start 'strew node' or 'strew serve', or name a running one with --at"
        yield Finding(CHECK, "warning", f"no strew answers at {where}", remedy)


async def _look(settings: Settings, address: Address) -> Finding | None:
    """What the process at `address` says of itself; None if nobody is there."""
    try:
        key = fleet_key(settings, address)
        async with asyncio.timeout(ASK_WITHIN_S), connected_to(settings, address, key) as client:
            return judge(address, await client.node())
    except ConfigurationError:
        return None  # without a key nothing can be asked; that is a finding of its own
    except NotFoundError:
        return Finding(CHECK, "ok", f"{address} is a tracker alone and holds nothing")
    except DeniedError as error:
        return Finding(CHECK, "failed", f"{address}: {error.message}", error.hint or "use its key")
    except (StrewError, TimeoutError):
        return None


def judge(address: Address, node: NodeReport) -> Finding:
    """Good or not: a tracker or other members hear of it, and somebody is connected where there is
    something to give."""
    swarms = list(node.swarms.values())
    sent_bytes = _sum(swarms, "sent_bytes")
    received_bytes = _sum(swarms, "received_bytes")
    members = int(node.gossip.get("living", 0))
    detail = (
        f"{address}: {len(swarms)} artifacts, {node.links} peers, {members} other members, "
        f"sent {format_size(sent_bytes)}, received {format_size(received_bytes)}"
    )
    announcer = node.announcer
    if not members and announcer.get("trackers") and announcer.get("stale"):
        reason = announcer.get("last_failure") or "no answer"
        silent = format_duration(float(announcer.get("silent_s", 0.0)))
        remedy = (
            f"no tracker and no member heard of it for {silent} ({reason}): nobody new will find it"
        )
        return Finding(CHECK, "failed", detail, remedy)
    failed = [swarm for swarm in swarms if swarm.get("state") in ("failed", "paused")]
    if failed:
        reason = str(failed[0].get("reason", ""))
        return Finding(
            CHECK, "failed", f"{detail}; {len(failed)} not going on", reason or "see log"
        )
    fetching = [swarm for swarm in swarms if not swarm.get("complete")]
    if fetching and not node.links:
        remedy = "can it reach other nodes' ports? Behind a firewall, open this port for them"
        return Finding(CHECK, "failed", f"{detail}; it fetches and nobody is connected", remedy)
    suspects = int(node.gossip.get("suspects", 0))
    if suspects > SUSPECTS_RATIO * members:
        remedy = "open its UDP port both ways; is the machine out of processor?"
        what = f"{suspects} members do not answer it over UDP"
        return Finding(CHECK, "warning", f"{detail}; {what}", remedy)
    if received_bytes >= TAKEN_BYTES and not sent_bytes and members > 1:
        remedy = (
            "others took nothing: is its port open to them (--join HOST:PORT has one dial back), "
            "and is --rate-up above nothing?"
        )
        return Finding(CHECK, "warning", f"{detail}; it takes and gives nothing", remedy)
    return Finding(CHECK, "ok", detail)


def _sum(swarms: list[dict[str, Any]], key: str) -> int:
    return sum(int(swarm.get(key, 0)) for swarm in swarms)
