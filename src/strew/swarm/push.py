"""Layer 1: chunks that just left the origin are given to an owner, who passes them to its group.

Nobody else can have such a chunk, so no consent is needed and no message is lost on it. With
equal machines this is the fluid optimum of Kumar and Ross (HotWeb 2006): each passes on a share
of the file in proportion to its uplink, straight to all others.

Theory of operation. The origin gives each chunk once, to an *owner*, in turn over all neighbours
that are fit, have credit and take what they are sent. An owner passes the chunk to the designates
of its group's children in a tree over the groups, then to its mates. Credit comes back when the
chunk was *offered* to all, never when the slowest has it: a receiver whose socket stays full is
skipped and asks for the chunk itself by layer 2. Whatever goes wrong here costs a round trip of
layer 2 and never a chunk.
"""

from __future__ import annotations

from collections import Counter, deque
from itertools import islice

from strew.messages import Passed, PeerId, Role
from strew.swarm.neighbour import PACE_MEMORY, Neighbour
from strew.swarm.state import SKIP_S, SwarmState
from strew.swarm.view import PushView

OWNER_CREDIT = 3
"""Unfinished chunks an owner may hold: one it passes on, one that arrives, one to spare."""

FIRST_GIVES_MAX = 2
"""Chunks on their way while there are owners that never had one: what is sent to all of them at
once reaches none of them soon (simulated, 16 machines: 1.025 instead of 1.027)."""

CREDIT_IN_ALL = 12
"""With few owners each may hold more, so that a round trip of credit never idles the origin."""

EARLY_GIVERS_MAX = 8
"""Peers whose chunk came before their Join, for whom credit is kept. Mostly it is one origin."""

OFFERED_BATCH = 4
"""Chunks whose credit a lone owner, which has nobody to pass them to, returns at once. Must be
well under `CREDIT_IN_ALL`."""

assert OFFERED_BATCH * 2 < CREDIT_IN_ALL

PASS_TIME_FIRST_S = 2.0
"""How long an owner may take before any other was timed."""

PASS_TIME_MIN_S = 0.5
"""No owner is called late before this."""

LATE_RATIO = 6.0
"""An owner that takes so many times the median time loses the chunk and the right to own."""

SLOW_OWNER_RATIO = 3.0
"""An owner whose usual time is so many times the median one gets nothing more to own."""

UNFIT_S = 30.0
"""A machine that failed as an owner gets no chunks to own for this long."""

SEEN_WITHIN_S = 3.0
"""A chunk whose owner says that it was offered to all must be seen elsewhere within this time: a
complete neighbour hears haves each second, and the last copy is still on its way."""

UNSEEN_MAX = 3
"""Chunks in a row that were not seen elsewhere before their owner loses the right to own: it lies,
or nobody takes what it sends."""

LOOKAHEAD_MAX = 16
"""Chunks waiting to be passed that are searched for a free receiver; more are served in turn."""

WITHHELD_S = 1.0
"""An origin that could give nothing for so long serves everybody: its plan is no good."""

SLOWEST_RATIO = 0.34
"""When no more than this part of the receivers is still to be offered a chunk, its owner's credit
returns: a few thin links must not hold up the giving."""

BEHIND_MAX = 6
"""A receiver for which so many chunks wait is left to layer 2 for a while."""

TAGS = 1 << 16
"""Tags of chunks are counted modulo this: they fill the header's field."""

PIPELINE_MAX = 2
"""Chunks that may wait on one connection: the second fills the gap after the first."""


class Passing:
    """One chunk on its way from this node to its group: who still has to be offered it."""

    __slots__ = ("few", "giver", "index", "plan_version", "root", "targets")

    def __init__(
        self,
        index: int,
        root: int,
        plan_version: int,
        targets: deque[tuple[PeerId, Role]],
        giver: PeerId,
    ) -> None:
        self.index = index
        self.root = root
        self.plan_version = plan_version
        self.targets = targets
        self.giver = giver
        self.few = int(len(targets) * SLOWEST_RATIO)


class OwnerPush:
    """Both halves of layer 1: giving (at the origin) and passing on (at owners)."""

    def __init__(self, state: SwarmState) -> None:
        self._state = state
        self.view = PushView(state.me)
        self._passing: deque[Passing] = deque()
        self._rotation = 0
        self._reach = 0
        self.giver = PeerId("")
        """Who gave the last chunk to own: the way to the origin."""
        self._offered: dict[PeerId, list[int]] = {}
        # the origin's half
        self._next_ungiven = 0
        self._again: deque[int] = deque()
        self._given: dict[int, tuple[PeerId, float]] = {}
        self._owed: dict[PeerId, int] = {}
        self._turn: dict[PeerId, int] = {}
        self._turns = 0
        self._tag = 0
        self._nobody = False
        self._all_busy = False
        self._given_s = 0.0
        self._unfit_until_s: dict[PeerId, float] = {}
        self._most_unfit = False
        self._pass_times_s: dict[PeerId, float] = {}
        self._unproven: deque[tuple[int, PeerId, float]] = deque()
        self._unseen: dict[PeerId, int] = {}

    # --- owners ----------------------------------------------------------------------------------

    def own(self, giver: PeerId, index: int, root: int, plan_version: int) -> None:
        """This node has just stored a chunk it is to pass on."""
        self.giver = giver
        targets = self._targets(giver, index, root)
        if not targets:
            self.offered_to_all(giver, index)
            return
        self._reach = len(targets)
        self._all_busy = False
        self._passing.append(Passing(index, root, plan_version, targets, giver))

    def _targets(self, giver: PeerId, index: int, tag: int) -> deque[tuple[PeerId, Role]]:
        state = self._state
        targets: deque[tuple[PeerId, Role]] = deque()
        for peer, owns in self.view.targets(tag, self._state.neighbours.__contains__):
            if peer != giver and self._lacks(peer, index):
                targets.append((peer, Role.OWNED if owns else Role.COPIED))
        if self.view.alone:
            others = [
                n.id
                for n in state.neighbours.values()
                if n.id != giver
                and not n.origin
                and not self.view.passes_to(n.id)
                and self._lacks(n.id, index)
            ]
            self._rotation += 1
            start = self._rotation % max(1, len(others))
            targets.extend((peer, Role.COPIED) for peer in others[start:] + others[:start])
        return targets

    def _lacks(self, peer: PeerId, index: int) -> bool:
        neighbour = self._state.neighbours.get(peer)
        return neighbour is not None and index not in neighbour.have

    def offered_to_all(self, giver: PeerId, index: int) -> None:
        """The chunk was passed on as far as it goes, or need not be: the credit returns."""
        offered = self._offered.setdefault(giver, [])
        offered.append(index)
        alone = len(self._state.neighbours) <= 1
        if len(offered) >= (OFFERED_BATCH if alone else 1):
            self.return_credit()

    def return_credit(self) -> None:
        """Tell the origin of what was offered to all since the last time.

        Who is not known yet hears it later: its chunk overtook its Join.
        """
        early: dict[PeerId, list[int]] = {}
        for giver, indexes in self._offered.items():
            neighbour = self._state.neighbours.get(giver)
            if neighbour is None:
                early[giver] = indexes[-CREDIT_IN_ALL:]
            elif neighbour.origin:
                self._state.tell(neighbour, Passed(self._state.key, indexes))
        self._offered = early if len(early) <= EARLY_GIVERS_MAX else {}

    # --- filling slots ---------------------------------------------------------------------------

    def fill(self, now: float) -> None:
        """Start what can be started: passing on first, then (at the origin) giving."""
        state = self._state
        while state.slots.free_to_push > 0:
            if not (self._pass_one(now) or (state.origin and self._give_one(now))):
                return

    def _pass_one(self, now: float) -> bool:
        """Start one send of layer 1, to an idle neighbour if there is one; False if none can."""
        if self._all_busy or not self._passing:
            return False
        for depth_max in range(PIPELINE_MAX):
            for job in list(islice(self._passing, LOOKAHEAD_MAX)):
                started = self._pass_step(job, now, depth_max)
                if job.few >= len(job.targets):
                    job.few = -1
                    self.offered_to_all(job.giver, job.index)
                if not job.targets:
                    self._passing.remove(job)
                if started:
                    return True
        self._all_busy = True
        return False

    def skip_those_behind(self, now: float) -> None:
        """Receivers for whom chunks pile up are slower than the others: layer 2 is their way."""
        if len(self._passing) <= BEHIND_MAX:
            return
        waiting = Counter(peer for job in self._passing for peer, _ in job.targets)
        for peer, count in waiting.items():
            neighbour = self._state.neighbours.get(peer)
            if count > BEHIND_MAX and neighbour is not None and 2 * len(waiting) <= self._reach:
                neighbour.skipped_until_s = now + SKIP_S

    def _pass_step(self, job: Passing, now: float, depth_max: int) -> bool:
        """Send the job's chunk to the first target that can take it; drop those that need not."""
        state = self._state
        if job.index not in state.have:
            job.targets.clear()  # it rotted on the disk since
            return False
        for _ in range(len(job.targets)):
            peer, role = job.targets.popleft()
            neighbour = state.neighbours.get(peer)
            if neighbour is None or job.index in neighbour.have or job.index in neighbour.sending:
                continue
            if neighbour.skipped_until_s > now:
                continue  # its socket stays full: layer 2 is its way
            if len(neighbour.sending) <= depth_max:
                state.send_chunk(neighbour, job.index, now, role, job.root, job.plan_version)
                return True
            job.targets.append((peer, role))
        return False

    # --- the origin ------------------------------------------------------------------------------

    def _give_one(self, now: float) -> bool:
        if self._turns < self.view.entries and self._state.slots.pushing >= FIRST_GIVES_MAX:
            return False
        found = self._next_owner(now)
        if found is None:
            return False
        owner, tag = found
        index = self._next_chunk(owner)
        if index is None:
            return False
        self._given[index] = (owner.id, now)
        self._owed[owner.id] = self._owed.get(owner.id, 0) + 1
        self._tag = tag + 1
        self._turns += 1
        self._turn[owner.id] = self._turns
        tag %= TAGS
        self.withhold(now, given=True)
        self._state.send_chunk(owner, index, now, Role.OWNED, tag, self.view.version)
        return True

    def withhold(self, now: float, *, given: bool = False) -> None:
        """Keep what is to be given by a plan out of layer 2, while the giving goes on: a chunk that
        enters there is spread at the price of round trips."""
        state = self._state
        if given:
            self._given_s = now
        goes_on = self.view.entries > 0 and now < self._given_s + WITHHELD_S
        total = len(state.lengths)
        left = total - self._next_ungiven
        state.withheld = ((1 << left) - 1) << self._next_ungiven if goes_on else 0

    def _next_owner(self, now: float) -> tuple[Neighbour, int] | None:
        """Whose turn it is by the plan, and the tag; idle connections first.

        Whoever cannot take a chunk now is passed over: the origin's uplink is never idle. When
        nobody can, nothing changes that before credit comes, a send ends or a tick.
        """
        if self._nobody:
            return None
        neighbours = self._state.neighbours
        second: tuple[Neighbour, int] | None = None
        for tag in range(self._tag, self._tag + 2 * self.view.entries):
            peer = self.view.entry(tag % TAGS)
            owner = neighbours.get(peer) if peer is not None else None
            if owner is None or len(owner.sending) >= PIPELINE_MAX:
                continue
            if (second is None or not owner.sending) and self._may_own(owner, now):
                if not owner.sending:
                    return owner, tag
                second = owner, tag
        if second is None and self.view.alone:
            second = self._any_owner(now)
        self._nobody = second is None
        return second

    def look_again(self) -> None:
        """Somebody may be able to take or to own a chunk now. What neighbours say they have, which
        is most of what a node hears, cannot make it so."""
        self._nobody = False
        self._all_busy = False

    def _any_owner(self, now: float) -> tuple[Neighbour, int] | None:
        """Without a plan, or beside it: the fit neighbour whose turn is longest ago."""
        best: Neighbour | None = None
        best_rank = (PIPELINE_MAX, 0)
        for neighbour in self._state.neighbours.values():
            rank = (len(neighbour.sending), self._turn.get(neighbour.id, 0))
            if rank < best_rank and self._may_own(neighbour, now):
                best, best_rank = neighbour, rank
        return None if best is None else (best, self._tag)

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

    def _next_chunk(self, owner: Neighbour) -> int | None:
        """The next chunk that nobody else has and that this owner lacks."""
        state = self._state
        for _ in range(len(self._again)):
            index = self._again.popleft()
            if state.availability[index] > 1 or index not in state.have:
                continue  # layer 2 spreads it by now, or it rotted here
            if index not in owner.have and index not in owner.sending:
                return index
            self._again.append(index)
        total = len(state.lengths)
        while self._next_ungiven < total:
            index = self._next_ungiven
            if index not in state.have:
                return None  # the origin itself is still being filled: never skip a chunk
            self._next_ungiven += 1
            if state.availability[index] == 0 and index not in self._given:
                return index
        return None

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

    def reclaim(self, now: float) -> None:
        """Take chunks back from owners that are far too late, and let slow ones own no more.

        A lone neighbour is never late: there is nobody to compare it with, or to give to.
        """
        if len(self._state.neighbours) < 2:
            self._unproven.clear()
            return
        times_s = sorted(self._pass_times_s.values())
        median_s = times_s[(len(times_s) - 1) // 2] if times_s else PASS_TIME_FIRST_S
        for owner, usual_s in self._pass_times_s.items():
            if usual_s > max(SLOW_OWNER_RATIO * median_s, PASS_TIME_MIN_S / SLOW_OWNER_RATIO):
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

    def was_late(self, late_s: float) -> None:
        """This process did not run for a while: no owner was slow in that time."""
        self._given = {i: (owner, at_s + late_s) for i, (owner, at_s) in self._given.items()}
        self._unproven = deque((i, owner, at_s + late_s) for i, owner, at_s in self._unproven)

    def _prove(self, now: float) -> None:
        """Give again what was said to be offered to all, and was seen nowhere but at its owner."""
        while self._unproven and self._unproven[0][2] + SEEN_WITHIN_S <= now:
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
            and self.view.fellows(owner, n.id)
            for n in fetching
        )

    def _elsewhere(self, index: int, owner: PeerId) -> int:
        """How many neighbours beside its owner have the chunk."""
        holder = self._state.neighbours.get(owner)
        return self._state.availability[index] - (holder is not None and index in holder.have)

    def owner_left(self, owner: PeerId) -> None:
        """What it owned and nobody else has is given again."""
        for index in [i for i, (holder, _) in self._given.items() if holder == owner]:
            self._take_back(index, owner)
        lost = [i for i, holder, _ in self._unproven if holder == owner]
        self._again.extend(i for i in lost if self._elsewhere(i, owner) == 0)
        self._unproven = deque(entry for entry in self._unproven if entry[1] != owner)
        self._owed.pop(owner, None)
        self._pass_times_s.pop(owner, None)
        self._offered.pop(owner, None)

    def _take_back(self, index: int, owner: PeerId) -> None:
        del self._given[index]
        self._owed[owner] = max(0, self._owed.get(owner, 0) - 1)
        if self._elsewhere(index, owner) == 0:
            self._again.append(index)

    def start_anew(self) -> None:
        """Everybody is gone, and whatever was given with them: the next crowd gets all of it."""
        self._next_ungiven = 0
        self._again.clear()
        self._unproven.clear()

    def not_sent(self, peer: PeerId, index: int) -> None:
        """A chunk given or passed to `peer` never left."""
        self.look_again()
        if self._given.get(index, ("", 0.0))[0] == peer:
            self._take_back(index, peer)

    @property
    def busy(self) -> bool:
        """There is something given or to be passed on."""
        return bool(self._passing or self._given or self._again or self._unproven)

    @property
    def backlog(self) -> int:
        """Chunks that wait to be passed on."""
        return len(self._passing)

    @property
    def ungiven(self) -> int:
        """Chunks the origin has not yet let go of."""
        return len(self._state.lengths) - self._next_ungiven + len(self._again)
