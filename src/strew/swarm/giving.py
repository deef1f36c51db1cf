"""The origin's half of layer 1: each chunk is given once, to the entry of its stripe.

The origin's uplink is the only one that carries what nobody has: it is never idle, sends nothing
twice, and asks nobody's consent. An entry has *credit* for a few chunks, which comes back when it
has offered one to all it passes it on to, never when the slowest has it. Whoever has no credit, is
slow or does not take what it is sent is passed over. What an entry got and did not pass on in time,
or lost by leaving, is given again.
"""

from __future__ import annotations

from collections import Counter, deque

from strew.content.bitfield import indexes_of
from strew.messages import PeerId, Role
from strew.swarm.neighbour import Neighbour
from strew.swarm.pace import PACE_MEMORY
from strew.swarm.state import SwarmState
from strew.swarm.view import PushView

OWNER_CREDIT = 3
"""Unfinished chunks an owner may hold: one it passes on, one that arrives, one to spare."""

FIRST_GIVES_MAX = 2
"""Chunks on their way while there are owners that never had one: what is sent to all of them at
once reaches none of them soon, and seems late to some. Higher: slow links are full sooner, and up
to 0.9 % comes twice there (16 machines, 8 Mbit/s); simulated it makes no difference."""

CREDIT_IN_ALL = 12
"""With few owners each may hold more, so that a round trip of credit never idles the origin."""

PIPELINE_MAX = 2
"""Chunks that may wait on one connection: the second fills the gap after the first."""

HELD_RATIO = 0.25
"""A chunk of which so many of the neighbours say that they have it already is not given: it is one
that an earlier version had. What few say may be a lie, and then nobody would get it in time. Lower:
a fifth that claims to have everything holds the others up; higher: what some machines have already
is sent again."""

PASS_TIME_FIRST_S, PASS_TIME_FIRST_MAX_S = 2.0, 30.0
"""What an owner is taken to need for a chunk before that was timed: so long, or as long as it lasts
already. The first chunks have their links for themselves and say little; and where all hang, it is
layer 2 that helps."""

PASS_TIME_MIN_S = 0.5
"""No owner is called late before this."""

LATE_RATIO = 6.0
"""An owner that takes so many times the median time loses the chunk and the right to own."""

SLOW_OWNER_RATIO = 3.0
"""An owner whose usual time is so many times the median one gets nothing more to own."""

PASSES_MIN = 6
"""No owner is called slow before so many: the first wait for mates that are just connecting."""

UNFIT_S = 30.0
"""A machine that failed as an owner gets no chunks to own for this long."""

SEEN_WITHIN_S, SEEN_ROUNDS = 3.0, 3.0
"""A chunk whose owner says that it was offered to all must be seen elsewhere within this time, and
so many times the median owner's: a complete neighbour hears haves each second, and the last copy is
still on its way."""

UNSEEN_MAX = 3
"""Chunks in a row that were not seen elsewhere before their owner loses the right to own: it lies,
or nobody takes what it sends."""

WITHHELD_S = 1.0
"""An origin that could give nothing for so long serves everybody: its plan is no good."""

TAIL_S = 0.3
"""After its last chunk it serves nobody for so long: that one is still on its way down."""

WITHHELD_ROUNDS = 2.0
"""... or for so many times what an owner usually takes with a chunk, where that is longer."""

FORGIVEN_CHUNKS = 4
"""A stripe that was passed over, because its entry could take nothing, catches up on no more than
so many average chunks: all at once they would only wait in its machines."""

BEHIND_ROUNDS = 4
"""When a stripe's next chunk stands so many rounds before another's in the file, the other's entry
takes it: a stripe that stands still holds nobody up for long."""


class Giving:
    """See the module. Only an origin's is ever asked to give."""

    def __init__(self, state: SwarmState, view: PushView) -> None:
        self._state = state
        self._view = view
        chunks = len(state.lengths)
        self._out = [False] * chunks  #  let go of, or known to be elsewhere
        self._left = chunks
        self._queues: list[deque[int]] = [deque(range(chunks))]
        self._carried: list[float] = [0.0]  # by stripe: bytes, over its part of an even share
        self._parts: list[float] = [1.0]
        self._passed_over: list[int] = []
        """What was not given because enough others said they had it, since the last plan."""
        self._again: deque[int] = deque()
        self._given: dict[int, tuple[PeerId, float]] = {}
        self._owed: dict[PeerId, int] = {}
        self._turn: dict[PeerId, int] = {}
        self._turns = 0
        self._nobody = False
        self._given_s = 0.0
        self._timed = False
        self._timing_since_s: float | None = None
        self._round_s = 0.0
        """What the median owner takes with a chunk, as far as that was timed."""
        self._unfit_until_s: dict[PeerId, float] = {}
        self._most_unfit = False
        self._pass_times_s: dict[PeerId, float] = {}
        self._passes: Counter[PeerId] = Counter()
        self._unproven: deque[tuple[int, PeerId, float]] = deque()
        self._unseen: dict[PeerId, int] = {}

    @property
    def busy(self) -> bool:
        """Something given is not yet seen elsewhere, or to be given again."""
        return bool(self._given or self._again or self._unproven)

    @property
    def ungiven(self) -> int:
        """Chunks the origin has not yet let go of."""
        return self._left + len(self._again)

    def planned(self, now: float) -> None:
        """There is a new plan: what is left is dealt out to its stripes."""
        self._deal()
        self._unfit_until_s.clear()  # what made them late may be gone with the old plan
        self._pass_times_s.clear()
        self._passes.clear()
        self._timed = False
        self._timing_since_s = None
        self.withhold(now, given=True)
        self.look_again()

    def _deal(self) -> None:
        for index in self._passed_over:  # the few who had it may be a smaller part by now
            self._out[index] = False
            self._left += 1
        self._passed_over.clear()
        stripes = max(1, self._view.entries)
        self._queues = [deque() for _ in range(stripes)]
        self._carried = [0.0] * stripes
        weights = self._view.weights or (1.0,)
        self._parts = [weight * stripes / sum(weights) for weight in weights]
        for index, out in enumerate(self._out):
            if not out:
                stripe = self._view.stripe_of(index) if self._view.entries else 0
                self._queues[stripe].append(index)

    def start_anew(self) -> None:
        """Everybody is gone, and whatever was given with them: the next crowd gets all of it."""
        self._left = len(self._out)
        self._out = [False] * self._left
        self._passed_over.clear()
        self._deal()
        self._again.clear()
        self._unproven.clear()

    # --- giving ----------------------------------------------------------------------------------

    def give_one(self, now: float) -> bool:
        """Give one chunk to whoever may own it; False if nobody can take one."""
        if self._nobody:
            return False
        if self._turns < self._view.entries and self._state.slots.pushing >= FIRST_GIVES_MAX:
            return False
        for depth in range(PIPELINE_MAX):
            for stripe, owner in self._entries(depth, now):
                index = self._next_chunk(owner, stripe)
                if index is not None:
                    self._give(owner, stripe, index, now)
                    return True
        self._nobody = True
        return False

    def _entries(self, depth: int, now: float) -> list[tuple[int, Neighbour]]:
        """Who may take a chunk behind so many others, the stripe that carried least first; those
        that have no place in the plan only if none has one that can."""
        view, neighbours = self._view, self._state.neighbours
        found: list[tuple[int, Neighbour]] = []
        for stripe in sorted(range(view.entries), key=self._carried.__getitem__):
            peer = view.entry(stripe)
            owner = neighbours.get(peer) if peer is not None else None
            if owner is not None and len(owner.sending) == depth and self._may_own(owner, now):
                found.append((stripe, owner))
        if found or not view.alone:
            return found
        others = [
            neighbour
            for neighbour in neighbours.values()
            if len(neighbour.sending) == depth and self._may_own(neighbour, now)
        ]
        others.sort(key=lambda neighbour: self._turn.get(neighbour.id, 0))
        return [(self._farthest_behind(), neighbour) for neighbour in others]

    def _may_own(self, neighbour: Neighbour, now: float) -> bool:
        """Whether it is fit, has credit and takes what it is sent."""
        credit = max(OWNER_CREDIT, CREDIT_IN_ALL // max(1, len(self._state.neighbours)))
        return (
            neighbour.fit
            and not neighbour.have.complete
            and neighbour.skipped_until_s <= now
            and self._owed.get(neighbour.id, 0) < credit
            and (self._most_unfit or self._unfit_until_s.get(neighbour.id, 0.0) <= now)
        )

    def _next_chunk(self, owner: Neighbour, stripe: int) -> int | None:
        """The next chunk of the stripe that nobody else has and that this owner lacks."""
        state = self._state
        for _ in range(len(self._again)):
            index = self._again.popleft()
            if state.availability[index] > 1 or index not in state.have:
                continue  # layer 2 spreads it by now, or it rotted here
            if index not in owner.have and index not in owner.sending:
                return index
            self._again.append(index)
        behind = self._farthest_behind()
        queue, late = self._queues[stripe], self._queues[behind]
        rounds = BEHIND_ROUNDS * len(self._queues)
        if late and (not queue or late[0] + rounds < queue[0]):
            queue = late
        while queue:
            index = queue[0]
            if index not in state.have:
                return None  # the origin itself is still being filled: never skip a chunk
            queue.popleft()
            self._out[index] = True
            self._left -= 1
            if self._spreads(index):
                self._passed_over.append(index)
            elif index not in self._given and index not in owner.have:
                return index
        return None

    def _spreads(self, index: int) -> bool:
        """Whether layer 2 brings this chunk to everybody, by what neighbours say they have."""
        state = self._state
        return state.availability[index] > HELD_RATIO * len(state.neighbours)

    def _farthest_behind(self) -> int:
        """The stripe whose next chunk comes first in the file."""
        queues = self._queues
        return min(range(len(queues)), key=lambda s: queues[s][0] if queues[s] else len(self._out))

    def _give(self, owner: Neighbour, stripe: int, index: int, now: float) -> None:
        self._given[index] = (owner.id, now)
        if self._timing_since_s is None:
            self._timing_since_s = now
        self._owed[owner.id] = self._owed.get(owner.id, 0) + 1
        self._turns += 1
        self._turn[owner.id] = self._turns
        carried = self._carried
        carried[stripe] += self._state.lengths[index] / self._parts[stripe]
        floor = max(carried) - FORGIVEN_CHUNKS * self._state.average_bytes
        for other, so_far in enumerate(carried):
            if so_far < floor:
                carried[other] = floor
        self.withhold(now, given=True)
        self._state.send_chunk(owner, index, now, Role.OWNED, self._view.tag)

    def withhold(self, now: float, *, given: bool = False) -> None:
        """Keep out of layer 2 while the giving by a plan goes on: a chunk that is served takes the
        place of one that nobody has, and what went out already is to be had elsewhere."""
        if given:
            self._given_s = now
        least_s = WITHHELD_S if self._left else TAIL_S
        round_s = self._round_s or self._state.sends.seconds(self._state.average_bytes)
        withheld_s = max(least_s, WITHHELD_ROUNDS * round_s)
        goes_on = self._view.entries > 0 and now < self._given_s + withheld_s
        self._state.withheld = (1 << len(self._out)) - 1 if goes_on else 0

    def look_again(self) -> None:
        """Somebody may be able to take or to own a chunk now. What neighbours say they have, which
        is most of what a node hears, cannot make it so."""
        self._nobody = False

    # --- what became of it -----------------------------------------------------------------------

    def credit(self, owner: PeerId, indexes: list[int], now: float) -> None:
        """An owner said it has offered these chunks to all."""
        self._nobody = False
        for index in indexes:
            given = self._given.get(index)
            if given is None or given[0] != owner:
                continue
            del self._given[index]
            self._owed[owner] = max(0, self._owed.get(owner, 0) - 1)
            self._unproven.append((index, owner, now))
            seconds = now - given[1]
            usual_s = self._pass_times_s.setdefault(owner, seconds)
            self._pass_times_s[owner] = usual_s + PACE_MEMORY * (seconds - usual_s)
            self._passes[owner] += 1

    def reclaim(self, now: float) -> None:
        """Take chunks back from owners that are far too late, and let slow ones own no more.

        A lone neighbour is never late: there is nobody to compare it with, or to give to.
        """
        if len(self._state.neighbours) < 2:
            self._unproven.clear()
            return
        self._measure_round()
        median_s = self._owner_s(now)
        if not self._timed:
            median_s = max(PASS_TIME_FIRST_S, median_s)
        for owner, usual_s in self._pass_times_s.items():
            slow_s = max(SLOW_OWNER_RATIO * median_s, PASS_TIME_MIN_S / SLOW_OWNER_RATIO)
            if usual_s > slow_s and self._passes[owner] >= PASSES_MIN:
                self._unfit_until_s[owner] = now + UNFIT_S
                self._pass_times_s[owner] = median_s  # judged anew when it owns again
        limit_s = max(PASS_TIME_MIN_S, LATE_RATIO * median_s)
        late = [
            (i, owner) for i, (owner, since_s) in self._given.items() if now - since_s > limit_s
        ]
        for index, owner in late:
            self._unfit_until_s[owner] = now + UNFIT_S
            self._take_back(index, owner)
        unfit = sum(until_s > now for until_s in self._unfit_until_s.values())
        self._most_unfit = 2 * unfit > len(self._state.neighbours)
        self._prove(now)

    def _measure_round(self) -> None:
        """What the median owner takes, once most of them have passed on a few."""
        times_s = sorted(self._pass_times_s.values())
        sure = sum(self._passes[owner] >= PASSES_MIN for owner in self._pass_times_s)
        if 2 * sure > len(times_s):
            self._timed = True
            self._round_s = times_s[(len(times_s) - 1) // 2]

    def _owner_s(self, now: float) -> float:
        """What an owner needs for a chunk: not less than the first have needed by now."""
        if self._timed or self._timing_since_s is None:
            return self._round_s
        return max(self._round_s, min(now - self._timing_since_s, PASS_TIME_FIRST_MAX_S))

    def unfit(self, now: float) -> list[PeerId]:
        """Owners that failed, unless most did."""
        if self._most_unfit:
            return []
        return [owner for owner, until_s in self._unfit_until_s.items() if until_s > now]

    def was_late(self, late_s: float) -> None:
        """This process did not run for a while: no owner was slow in that time."""
        self._given = {i: (owner, at_s + late_s) for i, (owner, at_s) in self._given.items()}
        self._unproven = deque((i, owner, at_s + late_s) for i, owner, at_s in self._unproven)

    def _prove(self, now: float) -> None:
        """Give again what was said to be offered to all, and was seen nowhere but at its owner."""
        within_s = max(SEEN_WITHIN_S, SEEN_ROUNDS * self._owner_s(now))
        while self._unproven and self._unproven[0][2] + within_s <= now:
            index, owner, credited_s = self._unproven.popleft()
            if self._elsewhere(index, owner) > 0:
                self._unseen[owner] = 0
            elif self._witnessed(owner, credited_s, now):
                self._again.append(index)
                self._unseen[owner] = self._unseen.get(owner, 0) + 1
                if self._unseen[owner] >= UNSEEN_MAX:
                    self._unfit_until_s[owner] = now + UNFIT_S

    def _witnessed(self, owner: PeerId, credited_s: float, now: float) -> bool:
        """Whether anybody should have got the owner's chunk and told us: a mate of it that was
        there in time and keeps up with the others (a slow one may wait for layer 2)."""
        fetching = [n for n in self._state.neighbours.values() if not n.have.complete]
        most = max((n.have.count for n in fetching), default=0)
        return any(
            n.id != owner
            and n.fit
            and n.joined_s < credited_s
            and 2 * n.have.count >= most
            and n.skipped_until_s <= now
            and self._unfit_until_s.get(n.id, now) <= now
            and self._view.fellows(owner, n.id)
            for n in fetching
        )

    def _elsewhere(self, index: int, owner: PeerId) -> int:
        """How many neighbours beside its owner have the chunk."""
        holder = self._state.neighbours.get(owner)
        return self._state.availability[index] - (holder is not None and index in holder.have)

    def owner_left(self, owner: PeerId) -> None:
        """What it owned and nobody else has is given again."""
        self.look_again()
        for index in [i for i, (holder, _) in self._given.items() if holder == owner]:
            self._take_back(index, owner)
        lost = [i for i, holder, _ in self._unproven if holder == owner]
        self._again.extend(i for i in lost if self._elsewhere(i, owner) == 0)
        self._unproven = deque(entry for entry in self._unproven if entry[1] != owner)
        self._owed.pop(owner, None)
        self._pass_times_s.pop(owner, None)

    def look_for_lost(self) -> None:
        """Somebody left: what only it had, or said it had, is given (again)."""
        self.look_again()
        nobody_has = self._state.availability.held_by(0, (1 << len(self._out)) - 1)
        on_its_way = {index for index, _, _ in self._unproven} | set(self._again)
        for index in indexes_of(nobody_has):
            if self._out[index] and index not in self._given and index not in on_its_way:
                self._again.append(index)

    def _take_back(self, index: int, owner: PeerId) -> None:
        self.look_again()
        del self._given[index]
        self._owed[owner] = max(0, self._owed.get(owner, 0) - 1)
        if self._elsewhere(index, owner) == 0:
            self._again.append(index)

    def not_sent(self, owner: PeerId, index: int) -> None:
        """A chunk given to `owner` never left."""
        self.look_again()
        if self._given.get(index, ("", 0.0))[0] == owner:
            self._take_back(index, owner)
