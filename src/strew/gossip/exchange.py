"""Anti-entropy: when to compare all that is known, and with whom.

Theory of operation (Demers et al., Epidemic Algorithms for Replicated Database Maintenance, 1987,
section 1.3). Rumours miss a few nodes and do not reach those that were away; a comparison with one
random member every half minute repairs both. A node that starts exchanges with its seeds at once,
and goes on with backoff until somebody answers; then it asks those seeds that are still strangers,
each once: it may be what joins two parts that came up apart. Silence, when no datagram comes at
all, asks for an exchange too, as does a member that was thought dead: behind it may stand the other
half of a network that was cut. Now and then the partner is a seed that is no member, which finds a
fleet whose halves have long forgotten each other.

One exchange is under way at a time; its bodies are those of `ledger`.
"""

import math
import random
from collections.abc import Sequence

from strew.gossip.membership import Membership
from strew.gossip.protocol import Address, ExchangeMessage, Member
from strew.messages import Action, Event

PERIOD_S = 30.0
"""Between two exchanges a node begins. Shorter: what rumours missed is repaired sooner, for a
kilobyte each time."""

SECOND_S = 5.0
"""The second exchange follows the first so soon: where a whole fleet starts together, the first
partner knew hardly anybody yet."""

MEET_S = 1.0
"""About so long after an answer the next seed that is still a stranger is asked. Shorter: a fleet
that starts at once asks its seeds together; longer: two halves know of each other later."""

JITTER_RATIO = 0.25
"""Periods are longer or shorter by up to this, so that nodes started together spread out."""

ANSWER_WITHIN_S = 10.0
"""An exchange without an answer for so long has failed."""

BACKOFF_FIRST_S = 1.0
"""Wait after the first failure; doubled with each further one."""

BACKOFF_MAX_S = 30.0
"""Longest wait after a failure."""

SILENCE_S = 5.0
"""Without any datagram for so long something is wrong: two come each second."""

SEED_EVERY = 4
"""Every so many exchanges goes to a seed that is no living member, if there is one."""


class Exchange(Action, frozen=True):
    """Send this body to the node at an address; answered by ExchangeAnswered or ExchangeFailed."""

    host: str
    port: int
    message: ExchangeMessage


class AnswerExchange(Action, frozen=True):
    """Answer the ExchangeAsked with this token."""

    token: int
    message: ExchangeMessage


class ExchangeAsked(Event, frozen=True):
    """A node sent a body; it awaits an AnswerExchange, which comes in the same call."""

    token: int
    message: ExchangeMessage


class ExchangeAnswered(Event, frozen=True):
    """The node at an address answered."""

    host: str
    port: int
    message: ExchangeMessage


class ExchangeFailed(Event, frozen=True):
    """The node at an address refused or could not be reached."""

    host: str
    port: int
    reason: str


class Schedule:
    """When the next exchange is due, and with whom; one at a time."""

    def __init__(
        self, membership: Membership, seeds: Sequence[Address], dice: random.Random, now: float
    ) -> None:
        own = (membership.me.host, membership.me.port)
        self._membership = membership
        self._seeds = [seed for seed in dict.fromkeys(seeds) if seed != own]
        dice.shuffle(self._seeds)  # lest a fleet that starts at once asks one of them
        self._next_seed = 0
        self._unmet = list(self._seeds)
        """Seeds that did not answer since the start, nor failed to after another did."""
        self._dice = dice
        self._due_s = now if self._seeds else now + PERIOD_S * dice.random()
        self._heard_s = now
        self._with: Address | None = None
        self._answer_by_s = now
        self._began = 0
        self._failures = 0
        self.joined = False
        """Somebody has answered since the start."""
        self._urgent: Address | None = None

    def next_s(self) -> float:
        """When `advance` has something to do."""
        if self._with is not None:
            return self._answer_by_s
        if not self._membership.living and not self._seeds:
            return math.inf
        return min(self._due_s, self._heard_s + SILENCE_S)

    def heard(self, now: float) -> None:
        """A datagram came."""
        self._heard_s = now

    def soon(self, member: Member, now: float) -> None:
        """A member is back: compare with it next."""
        self._urgent = (member.host, member.port)
        self._due_s = now

    def at_once(self, now: float) -> None:
        """Compare with anybody next."""
        self._due_s = now

    def advance(self, now: float) -> Address | None:
        """With whom to begin an exchange now; None if it is not time, or there is nobody."""
        if self._with is not None:
            if now < self._answer_by_s:
                return None
            self.failed(self._with, now)
        if now < self.next_s():
            return None
        self._heard_s = math.inf  # one exchange for one silence; then backoff decides
        partner = self._partner()
        if partner is None:
            self._due_s = now + PERIOD_S
            return None
        self._began += 1
        self._with = partner
        self._answer_by_s = now + ANSWER_WITHIN_S
        return partner

    def _partner(self) -> Address | None:
        urgent, self._urgent = self._urgent, None
        if urgent is not None:
            return urgent
        seeds = self._seeds
        if self.joined and (unmet := self._strangers(self._unmet)):
            return unmet[0]
        if seeds and self.joined:
            seeds = self._strangers(self._seeds) if self._began % SEED_EVERY == 0 else []
        if seeds and (self._failures % 2 == 0 or not self._membership.living):
            return self._in_turn(seeds)
        for member in self._membership.pick(1):
            return (member.host, member.port)
        return self._in_turn(self._seeds) if self._seeds else None

    def _in_turn(self, seeds: list[Address]) -> Address:
        self._next_seed += 1
        return seeds[self._next_seed % len(seeds)]

    def _strangers(self, seeds: list[Address]) -> list[Address]:
        """Those of them that are no living members."""
        if not seeds:
            return []
        known = {(member.host, member.port) for member in self._membership.alive()}
        return [seed for seed in seeds if seed not in known]

    def awaits(self, address: Address) -> bool:
        """Whether an answer from there is expected."""
        return self._with == address

    def goes_on(self, now: float) -> None:
        """The second body was sent."""
        self._answer_by_s = now + ANSWER_WITHIN_S

    def done(self, now: float) -> None:
        """The exchange has ended well."""
        pause_s = PERIOD_S if self.joined else SECOND_S
        self._unmet = self._strangers([seed for seed in self._unmet if seed != self._with])
        self._with = None
        self.joined = True
        self._failures = 0
        if self._unmet:
            pause_s = MEET_S
        if self._urgent is None:
            self._due_s = now + pause_s * self._dice.uniform(1 - JITTER_RATIO, 1 + JITTER_RATIO)

    def failed(self, address: Address, now: float) -> None:
        """The exchange with this address came to nothing. Of several seeds the next is asked at
        once: only after a round in which none answered the node waits."""
        if self._with != address:
            return
        self._with = None
        self._failures += 1
        if self.joined:
            self._unmet = [seed for seed in self._unmet if seed != address]
        rounds, rest = divmod(self._failures, 1 if self.joined else max(1, len(self._seeds)))
        if rest:
            self._due_s = now
            return
        wait_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(rounds - 1, 16))
        self._due_s = now + wait_s * self._dice.uniform(0.5, 1.0)
