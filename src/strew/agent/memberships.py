"""The fleet as gossip and the hash table of this process see it, for people to look at.

Another process may see it otherwise: that is what the page is for, when the network between them is
in doubt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from strew.gossip.protocol import Member, MemberState
from strew.publication import PeerText

if TYPE_CHECKING:
    from strew.agent.agent import Agent

MEMBERS_TOLD_MAX: Final = 10_000
"""Members in one answer, those in trouble first: 1.5 MB. Fewer would hide part of the fleets this
is measured for; more would hold up a browser, and the table has no more than twice as many."""

Standing = Literal["alive", "suspect", "dead", "left"]

_STANDINGS: Final[dict[MemberState, Standing]] = {
    MemberState.ALIVE: "alive",
    MemberState.SUSPECT: "suspect",
    MemberState.DEAD: "dead",
    MemberState.LEFT: "left",
}
_TROUBLE: Final = (MemberState.SUSPECT, MemberState.DEAD, MemberState.LEFT, MemberState.ALIVE)


class MemberReport(msgspec.Struct, frozen=True, kw_only=True):
    """One member. `by` is who said that it is suspect or dead; `met` whether it ever spoke for
    itself; `since_s` is the unix time at which its process says it started."""

    id: PeerText
    host: str
    port: int
    zone: str
    state: Standing
    by: str
    met: bool
    follows: tuple[str, ...]
    since_s: float


class MembersReport(msgspec.Struct, frozen=True, kw_only=True):
    """`gossip` and `dht` are their snapshots (docs/PROTOCOL.md), null where this process takes no
    part; `member_count` counts all that are in the table, tombstones and this node included."""

    id: PeerText
    host: str
    port: int
    zone: str
    gossip: dict[str, Any] | None
    dht: dict[str, Any] | None
    member_count: int
    members: tuple[MemberReport, ...]


def members_report(agent: Agent) -> MembersReport:
    """What this process knows now; of itself alone where it takes no part in gossip."""
    node, identity = agent.node, agent.identity
    host, port = agent.address
    facts = node.snapshot(agent.now()) if node is not None else {}
    gossip = node.gossip if node is not None else None
    members: list[Member] = []
    strangers: frozenset[str] = frozenset()
    if gossip is not None:
        members = [gossip.me, *gossip.everybody()]
        strangers = gossip.strangers
    told = sorted(members, key=_trouble)[:MEMBERS_TOLD_MAX]
    return MembersReport(
        id=identity.node,
        host=gossip.me.host if gossip is not None else host,
        port=gossip.me.port if gossip is not None else port,
        zone=identity.zone,
        gossip=msgspec.to_builtins(facts["gossip"]) if "gossip" in facts else None,
        dht=msgspec.to_builtins(facts["dht"]) if "dht" in facts else None,
        member_count=len(members),
        members=tuple(_report(member, strangers) for member in told),
    )


def _trouble(member: Member) -> tuple[int, str, str, int]:
    return _TROUBLE.index(member.state), member.zone, member.host, member.port


def _report(member: Member, strangers: frozenset[str]) -> MemberReport:
    return MemberReport(
        id=member.id,
        host=member.host,
        port=member.port,
        zone=member.zone,
        state=_STANDINGS[member.state],
        by=member.by,
        met=member.id not in strangers,
        follows=member.follows,
        since_s=member.incarnation / 1000.0,
    )
