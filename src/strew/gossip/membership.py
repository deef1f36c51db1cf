"""Who is a member: one table of claims, and the rule by which a claim beats another.

Theory of operation (SWIM: Das, Gupta, Motivala 2002). Each member is known by the best claim heard
about it. Claims about one member are ordered by incarnation and then by state (alive, suspect,
dead, left), so all nodes that heard the same claims believe the same, in whatever order they
came. Only the member itself raises its incarnation: at its start, and to refute what it hears of
itself. A dead member stays in the table as a tombstone for a while, else an old rumour would bring
it back; it returns with a higher incarnation.

Hearsay is bounded. Whom this node only heard of is a *stranger* until a datagram of its own comes
from its own address. Strangers get their share of probes and rumours, but never more than half, so
that invented ones do not keep the true ones from being watched. The table has a limit, beyond which
only a member that speaks for itself is admitted, in the place of a tombstone or a stranger. And
nobody's incarnation may be raised by hearsay beyond what its owner could exceed (`LEAP_MAX`), so
that no third party can silence a member for good.

In a simulation thousands of tables live in one process: a table keeps the claim it received, which
they all share, and no record of its own beside it.
"""

import random
from collections.abc import Callable, Iterable, Iterator

from strew.gossip.marks import Sums, member_mark, sums_of_living
from strew.gossip.protocol import (
    INCARNATION_MAX,
    Member,
    MemberState,
    claim_of,
    version_of,
)
from strew.gossip.ring import Ring
from strew.messages import Action, PeerId

MEMBERS_MAX = 20_000
"""Entries of the table, tombstones included: 10 MB. Twice the fleets this is measured for."""

TOMBSTONE_S = 3600.0
"""How long the dead are remembered, and called again now and then: a network that was cut for so
long heals by itself. Longer costs memory, and a machine that was taken away is called longer."""

TOMBSTONES_MAX = 4096
"""The oldest beyond that are forgotten: invented members die, and must not stay for an hour."""

LEAP_MAX = 1 << 36
"""By so much (two years of milliseconds) an incarnation may grow on another's word."""

STRANGERS_SHARE_MAX = 0.5
"""Of all turns and draws. Higher: a flood of invented members delays what is due to true ones;
lower: true newcomers are met later."""

GONE = MemberState.DEAD
"""From this state on a member is not spoken to."""


class MemberCame(Action, frozen=True):
    """A member is new, has returned, or has moved."""

    member: Member


class MemberGone(Action, frozen=True):
    """A member died (`DEAD`), said that it leaves (`LEFT`), or had to make room (`DEAD`)."""

    id: PeerId
    state: MemberState


class Membership:
    """The table. `hear` is told claims; `changes` collects what the node should know of it."""

    def __init__(self, me: Member, dice: random.Random, known: Iterable[Member] = ()) -> None:
        """`known` are believed alive from the start, without an action."""
        self.me = me
        self._dice = dice
        self.table: dict[PeerId, Member] = {
            member.id: member for member in known if member.id != me.id and member.state < GONE
        }
        self.living = len(self.table)
        """Members alive or suspect, without oneself."""
        self.changes: list[Action] = []
        self._sums: Sums | None = None
        """Sums of the marks of the living and oneself; made when first asked for."""
        self.refutations = 0
        self.refused = 0
        """Claims that were not taken: no room, or an incarnation out of reach."""
        self._buried: dict[PeerId, float] = {}
        """Tombstones, oldest first, and since when."""
        self.strangers: dict[PeerId, None] = {}
        """Living members that did not speak for themselves yet, oldest first."""
        self._met = Ring(list(self.table), dice, self._find_met)
        self._unmet = Ring([], dice, self._find_stranger)

    # --- claims ---------------------------------------------------------------------------------

    def hear(self, claim: Member, now: float, *, itself: bool = False) -> bool:
        """Take a claim; True if it is news here. `itself`: its subject sent it from its address.

        About oneself nothing is believed: what has to be refuted raises `me.incarnation`."""
        known = self.table.get(claim.id)
        if known is claim:
            return False
        if known is None:
            if claim.id == self.me.id:
                return self._refute(claim)
            return claim.state < GONE and self._admit(claim, itself=itself)
        if version_of(claim) <= version_of(known):
            return False
        if claim.incarnation == known.incarnation:
            if claim.host != known.host or claim.port != known.port:
                self.refused += 1
                return False
        elif claim.incarnation > known.incarnation + LEAP_MAX and not itself:
            self.refused += 1
            return False
        self._replace(known, claim, now, itself=itself)
        return True

    def meet(self, peer: PeerId) -> None:
        """A stranger spoke for itself."""
        del self.strangers[peer]
        self._met.add(peer)

    def _admit(self, claim: Member, *, itself: bool) -> bool:
        if len(self.table) >= MEMBERS_MAX and not (itself and self._make_room()):
            self.refused += 1
            return False
        self.table[claim.id] = claim
        self.living += 1
        self._count(None, claim)
        self._place(claim.id, itself=itself)
        self.changes.append(MemberCame(claim))
        return True

    def _place(self, peer: PeerId, *, itself: bool) -> None:
        if itself:
            self._met.add(peer)
        else:
            self.strangers[peer] = None
            self._unmet.add(peer)

    def _replace(self, known: Member, claim: Member, now: float, *, itself: bool) -> None:
        self.table[claim.id] = claim
        self._count(known, claim)
        if claim.state >= GONE:
            if known.state < GONE:
                self.living -= 1
                self.strangers.pop(claim.id, None)
                self.changes.append(MemberGone(claim.id, claim.state))
            self._bury(claim.id, now)
            return
        if known.state >= GONE:
            self.living += 1
            del self._buried[claim.id]
            self._place(claim.id, itself=itself)
            self.changes.append(MemberCame(claim))
        elif _facts(claim) != _facts(known):
            self.changes.append(MemberCame(claim))

    def _refute(self, claim: Member) -> bool:
        """Exceed a claim about oneself that is not one's own; True if that was needed."""
        me = self.me
        if claim.state == MemberState.ALIVE and _facts(claim) == _facts(me):
            wrong = claim.incarnation > me.incarnation
        else:
            wrong = claim.incarnation >= me.incarnation
        if not wrong or me.state == MemberState.LEFT:
            return False
        if claim.incarnation > min(me.incarnation + LEAP_MAX, INCARNATION_MAX - 1):
            self.refused += 1  # nobody else believes it either
            return False
        self.refutations += 1
        self.me = Member(
            me.id, me.host, me.port, me.zone, me.follows, claim.incarnation + 1, MemberState.ALIVE
        )
        self._count(me, self.me)
        return True

    def leave(self) -> None:
        """From now on `me` says that it left."""
        self.me = claim_of(self.me, MemberState.LEFT, self.me.id)

    # --- comparison -----------------------------------------------------------------------------

    def sums(self) -> tuple[int, ...]:
        """Sums of the marks of all living members and oneself."""
        if self._sums is None:
            self._sums = sums_of_living(self.alive())
            self._sums.add(*member_mark(self.me))
        return self._sums.read()

    def _count(self, before: Member | None, after: Member | None) -> None:
        """A claim has taken another one's place, or an empty one."""
        if self._sums is not None:
            if before is not None and before.state < GONE:
                self._sums.remove(*member_mark(before))
            if after is not None and after.state < GONE:
                self._sums.add(*member_mark(after))

    # --- tombstones and room --------------------------------------------------------------------

    def _bury(self, peer: PeerId, now: float) -> None:
        self._buried.pop(peer, None)
        self._buried[peer] = now
        if len(self._buried) > TOMBSTONES_MAX:
            self._forget_oldest()

    def forget_old(self, now: float) -> None:
        """Drop tombstones whose time is over."""
        while self._buried and next(iter(self._buried.values())) <= now - TOMBSTONE_S:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        peer = next(iter(self._buried))
        del self._buried[peer]
        del self.table[peer]

    def _make_room(self) -> bool:
        if self._buried:
            self._forget_oldest()
        elif self.strangers:
            loser = next(iter(self.strangers))
            del self.strangers[loser]
            self._count(self.table.pop(loser), None)
            self.living -= 1
            self.changes.append(MemberGone(loser, MemberState.DEAD))
        else:
            return False
        return True

    # --- choosing -------------------------------------------------------------------------------

    def _find_met(self, peer: PeerId) -> Member | None:
        member = self.table.get(peer)
        if member is None or member.state >= GONE or peer in self.strangers:
            return None
        return member

    def _find_stranger(self, peer: PeerId) -> Member | None:
        return self.table.get(peer) if peer in self.strangers else None

    def _rings(self) -> tuple[Ring, Ring]:
        """Whose turn it is, and who else may have it: strangers by their number, up to a limit."""
        if self.strangers:
            share = min(STRANGERS_SHARE_MAX, len(self.strangers) / self.living)
            if self._dice.random() < share:
                return self._unmet, self._met
        return self._met, self._unmet

    def next_to_probe(self) -> Member | None:
        """The next living member in turn."""
        first, second = self._rings()
        return first.next() or second.next()

    def pick(self, count: int, but: PeerId | str = "", *, met: bool = False) -> list[Member]:
        """Up to `count` different living members at random, never `but`; with `met`, no strangers
        as long as there are others."""
        picked: list[Member] = []
        if not self.living:
            return picked
        for _ in range(2 * count):
            first, second = (self._met, self._unmet) if met else self._rings()
            member = first.draw() or second.draw()
            if member is not None and member.id != but and member not in picked:
                picked.append(member)
                if len(picked) == count:
                    break
        return picked

    def pick_dead(self) -> Member | None:
        """A dead member at random, to see whether it is back."""
        if not self._buried:
            return None
        buried = list(self._buried)
        member = self.table[buried[int(self._dice.random() * len(buried))]]
        return member if member.state == MemberState.DEAD else None

    def sample(self, count: int, zone: str, wanted: Callable[[Member], bool]) -> list[Member]:
        """Up to `count` living members that are `wanted`, at random: two thirds of them of `zone`,
        as far as there are so many here and elsewhere."""
        near: list[Member] = []
        far: list[Member] = []
        for member in self.alive():
            if wanted(member):
                (near if member.zone == zone else far).append(member)
        far_count = min(len(far), max(count - len(near), count // 3))
        near_count = min(len(near), count - far_count)
        picked = self._dice.sample(near, near_count) + self._dice.sample(far, far_count)
        self._dice.shuffle(picked)
        return picked

    def alive(self) -> Iterator[Member]:
        """Everybody else who is alive or suspect."""
        return (member for member in self.table.values() if member.state < GONE)

    @property
    def tombstones(self) -> int:
        return len(self._buried)


def _facts(member: Member) -> tuple[str, int, str, tuple[str, ...]]:
    """What a claim says beside living or not."""
    return (member.host, member.port, member.zone, member.follows)
