"""What an announce makes of the record of its node."""

from strew.announce.allowance import TRACKER_SLACK, full_allowance
from strew.announce.protocol import Announce, Holding, Peer
from strew.announce.records import NodeRecord, TrackedHolding
from strew.content.digest import ArtifactId

RATE_SPAN_S = 1.0
"""Announces closer than this show no rate: the earlier one is kept."""


def record_after(
    announce: Announce,
    host: str,
    known: NodeRecord | None,
    told: frozenset[ArtifactId],
    now: float,
    *,
    lease_s: float,
) -> NodeRecord:
    """The node's record after this announce."""
    holdings = {holding.artifact: _tracked(holding, known, now) for holding in announce.holdings}
    allowance = known.allowance if known else full_allowance(now, slack=TRACKER_SLACK)
    return NodeRecord(
        peer=Peer(announce.node, host, announce.port, announce.zone),
        follows=announce.follows,
        holdings=holdings,
        wants=announce.wants,
        swarms=frozenset((*holdings, *announce.wants, *told)),
        seen=announce.seen,
        since_s=known.since_s if known else now,
        heard_s=now,
        lease_until_s=now + lease_s,
        allowance=full_allowance(now, slack=TRACKER_SLACK)
        if told
        else allowance.spent(now) or allowance,
    )


def _tracked(holding: Holding, known: NodeRecord | None, now: float) -> TrackedHolding:
    """The holding with its rates and the moment it was complete."""
    if known is None:
        return TrackedHolding(holding)
    done_at_s = now if holding.complete else None
    earlier = known.holdings.get(holding.artifact)
    if earlier is None:
        return TrackedHolding(holding, done_at_s=done_at_s)
    if holding.complete and earlier.holding.complete:
        done_at_s = earlier.done_at_s
    span_s = now - known.heard_s
    if span_s < RATE_SPAN_S:
        received, sent = earlier.received_bytes_per_s, earlier.sent_bytes_per_s
    else:
        received = max(0, holding.received_bytes - earlier.holding.received_bytes) / span_s
        sent = max(0, holding.sent_bytes - earlier.holding.sent_bytes) / span_s
    return TrackedHolding(holding, received, sent, done_at_s)


def moved_between(known: NodeRecord | None, record: NodeRecord) -> frozenset[ArtifactId]:
    """Swarms in which this announce changed something that an onlooker can see."""
    if known is None:
        return record.swarms
    changed = {
        artifact
        for artifact, tracked in record.holdings.items()
        if (earlier := known.holdings.get(artifact)) is None or earlier.holding != tracked.holding
    }
    return frozenset(changed | (known.swarms ^ record.swarms))
