"""What is heard, taken into the tables and passed on.

Every rumour, wherever it came from, goes the same way: the table it belongs to says whether it is
news; news is queued for others, told to the node that owns the core, and has its consequences
here. A claim of suspicion starts or shortens a time limit, one about oneself is refuted, the
holdings of the dead are forgotten, a publication goes to some members in this very call. One that
is not believed (`admits`) is dropped before any of that: a forged one of a high version would hide
the true one.
"""

from strew.gossip.health import Health
from strew.gossip.holdings import Holdings, OwnHoldings
from strew.gossip.membership import GONE, MemberGone, Membership
from strew.gossip.names import NameHeard, Names
from strew.gossip.outbox import Outbox
from strew.gossip.protocol import (
    RUMOUR_BYTES_MAX,
    Entries,
    Held,
    Member,
    MemberState,
    Named,
    Rumour,
    claim_of,
    wire_bytes,
)
from strew.gossip.rumours import Lane, RumourQueue
from strew.gossip.suspicion import Suspicions
from strew.messages import PeerId
from strew.publication import Admits

FANOUT = 3
"""Members told in each round, and of a new publication at once. With 3 an epidemic that passes on
only once reaches 94 %; the rounds after it reach the rest. Lower: slower; higher: more that hear it
twice."""

STRANGERS_TOLD_MAX = 16
"""Unknown entries of an exchange are passed on as rumours if they are no more than this: a few are
news to others too, a whole table is what everybody else knows already."""


HELD_AT_ONCE_MAX = 100
"""Up to so many members, that one has all, or nothing any more, is told at once, for whoever waits
until all are done; progress is not. Higher: a crowd that ends together fills more datagrams, for
all; lower: more wait longer."""


class Hearing:
    """The way of a rumour through one node."""

    def __init__(
        self,
        membership: Membership,
        names: Names,
        holdings: Holdings,
        own: OwnHoldings,
        suspicions: Suspicions,
        health: Health,
        queue: RumourQueue,
        outbox: Outbox,
        admits: Admits,
    ) -> None:
        self._membership = membership
        self._names = names
        self._holdings = holdings
        self._own = own
        self._suspicions = suspicions
        self._health = health
        self._queue = queue
        self._outbox = outbox
        self._admits = admits

    def rumour(self, rumour: Rumour, now: float) -> None:
        """Hear anything that rode on a datagram."""
        if type(rumour) is Member:
            self.member(rumour, now)
        elif type(rumour) is Named:
            self.named(rumour)
        elif type(rumour) is Held:
            self.held(rumour)

    # --- members --------------------------------------------------------------------------------

    def member(self, claim: Member, now: float, *, itself: bool = False, tell: bool = True) -> None:
        """Hear a claim; `itself`: from its subject, from its address. `tell`: pass news on."""
        membership = self._membership
        known = membership.table.get(claim.id)
        if known is claim:
            return
        is_stranger = known is None or claim.id in membership.strangers
        if membership.hear(claim, now, itself=itself):
            if claim.id == membership.me.id:
                self._refuted(claim, now)
                return
            if claim.state == MemberState.SUSPECT:
                self._suspect(claim, now)
            else:
                self._suspicions.clear(claim.id)
        elif not self._confirms(claim, known, now):
            return
        if tell:
            self._queue.push(claim.id, claim, Lane.SOON if is_stranger else Lane.FIRST)
        if membership.changes:
            self._pass_changes()

    def accuse(self, peer: PeerId, state: MemberState, now: float) -> None:
        """This node itself says that a member is suspect or dead."""
        known = self._membership.table.get(peer)
        if known is not None and known.state < GONE:
            self.member(claim_of(known, state, self._membership.me.id), now)

    def _suspect(self, claim: Member, now: float) -> bool:
        living = self._membership.living
        return self._suspicions.accuse(claim.id, claim.incarnation, claim.by, living, now)

    def _confirms(self, claim: Member, known: Member | None, now: float) -> bool:
        """Whether this is one more accuser of a suspect, worth telling."""
        return (
            claim.state == MemberState.SUSPECT
            and known is not None
            and known.state == MemberState.SUSPECT
            and known.incarnation == claim.incarnation
            and self._suspect(claim, now)
        )

    def _refuted(self, claim: Member, now: float) -> None:
        """A claim about oneself was exceeded: tell that, and what was forgotten of the dead."""
        me = self._membership.me
        self._queue.push(me.id, me, Lane.FIRST)
        self._health.worsen()
        if claim.state >= GONE:
            for held in self._own.again(now):
                self.own_held(held)

    def _pass_changes(self) -> None:
        for change in self._membership.changes:
            if isinstance(change, MemberGone):
                self._holdings.forget(change.id)
                self._suspicions.clear(change.id)
            self._outbox.actions.append(change)
        self._membership.changes.clear()

    # --- names and holdings ---------------------------------------------------------------------

    def named(self, told: Named, *, own: bool = False, tell: bool = True) -> None:
        """Hear a publication; `own`: from the node that owns this core, which knows it."""
        reference = told.publication.reference
        known = self._names.by_reference.get(reference)
        is_same = known is not None and known.publication == told.publication
        if not is_same and not self._admits(told.publication):
            return
        if self._names.hear(told):
            if not own:
                self._outbox.actions.append(NameHeard(told.publication, told.holders))
            if tell:
                fits = wire_bytes(told) <= RUMOUR_BYTES_MAX
                others = self._membership.pick(FANOUT) if fits else []
                self._queue.push(f"name {reference}", told, Lane.NAMES, sent=len(others))
                self._outbox.tell(others, (told,))
            return
        if known is not None and self._names.notice(told, known):
            self._queue.push(f"conflict {reference}", told, Lane.NAMES)

    def judge_again(self) -> None:
        """Whom this node trusts has changed: forget the names it does not believe any more."""
        self._names.keep_only(self._admits)

    def held(self, held: Held, *, tell: bool = True) -> None:
        """Hear what a member holds; of strangers and the dead nothing is kept."""
        member = self._membership.table.get(held.id)
        if member is None or member.state >= GONE:
            return
        if self._holdings.hear(held) and tell:
            self._tell_held(held)

    def own_held(self, held: Held) -> None:
        """Tell something about this node's own holdings."""
        self._holdings.hear(held)
        self._tell_held(held)

    def _tell_held(self, held: Held) -> None:
        ends = held.whole or not held.chunk_count
        few = self._membership.living <= HELD_AT_ONCE_MAX
        lane = Lane.SOON if ends and few else Lane.LAZY
        self._queue.push(f"{held.id}{held.swarm:x}", held, lane)

    # --- exchanges ------------------------------------------------------------------------------

    def entries(self, entries: Entries, now: float) -> None:
        """Learn what the other side of an exchange knows. Whom it buried is only suspected here:
        it may be that side which was cut off, and then the buried can say so."""
        table = self._membership.table
        members = [rumour for rumour in entries.rumours if type(rumour) is Member]
        names = [rumour for rumour in entries.rumours if type(rumour) is Named]
        strangers = sum(1 for member in members if member.id not in table)
        unknown = sum(1 for n in names if n.publication.reference not in self._names.by_reference)
        for member in members:
            known = table.get(member.id)
            claim = member
            if member.state == MemberState.DEAD and known is not None and known.state < GONE:
                claim = claim_of(member, MemberState.SUSPECT, entries.sender.id)
            self.member(claim, now, tell=known is not None or strangers <= STRANGERS_TOLD_MAX)
        for told in names:
            self.named(told, tell=unknown <= STRANGERS_TOLD_MAX)
        for rumour in entries.rumours:
            if type(rumour) is Held:
                self.held(rumour, tell=False)
