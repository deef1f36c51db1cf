"""Asking members in turn whether they are there, directly and by way of others.

Theory of operation (SWIM, section 3.1; Lifeguard, section IV-A). Once a period the next member of
the round is pinged. If no answer comes within the timeout, it is pinged again, and three others are
asked to ping it; so up to three times, with others each time. Only if nothing came back by then it
is suspected. Where one datagram in twenty is lost, a probe in ten lacks its first answer, and one
in a hundred million fails wrongly; where one in five is lost, one in ten thousand.

Whoever probes may itself be what is slow. Its *health* is a score that rises when a probe fails
without even the relays answering, or when it has to refute a suspicion of itself, and falls with
each answer; period and timeouts are multiplied by it.
"""

import random

from strew.gossip.health import Health
from strew.gossip.membership import Membership
from strew.gossip.outbox import Outbox
from strew.gossip.protocol import Ack, Member, Nack, PingRequest
from strew.messages import PeerId

PERIOD_S = 1.0
"""Between two probes. Shorter: deaths are seen sooner, idle traffic grows in proportion."""

REPETITIONS = 3
"""Times a silent member is pinged again, with other relays."""

TIMEOUT_MIN_S = PERIOD_S / (REPETITIONS + 1)
"""Least wait for an answer before it is asked for again, whatever the network's round trip: a busy
machine takes its time, and all repetitions fit into one period."""

TIMEOUT_MAX_S = 1.0
"""Longest wait. A probe over a very slow network takes longer than a period."""

RELAYS = 3
"""Members asked to ping a silent one, each time (SWIM's k)."""

NACK_AFTER_RATIO = 0.8
"""Part of the timeout after which a relay says that it heard nothing (Lifeguard)."""

RELAYED_MAX = 64
"""Pings on behalf of others at a time; more requests go unanswered."""

RTT_GAIN = 0.125
"""Weight of a new round trip in the average (RFC 6298, section 2)."""

DEVIATION_GAIN = 0.25
"""Weight in the mean deviation (RFC 6298, section 2)."""

NUMBER_MAX = 0xFFFF_FFFF


class _Probe:
    """The member that is being probed."""

    __slots__ = (
        "asked",
        "ends_s",
        "nacks",
        "next_s",
        "number",
        "repeated",
        "sent_s",
        "target",
        "timeout_s",
    )

    def __init__(
        self, target: Member, number: int, now: float, timeout_s: float, ends_s: float
    ) -> None:
        self.target = target
        self.number = number
        self.sent_s = now
        self.timeout_s = timeout_s
        self.next_s = now + timeout_s
        self.ends_s = ends_s
        self.repeated = 0
        self.asked = 0
        self.nacks = 0


class _Relayed:
    """A ping on behalf of another member."""

    __slots__ = ("due_s", "host", "number", "port", "target")

    def __init__(self, host: str, port: int, number: int, target: PeerId, due_s: float) -> None:
        self.host = host
        self.port = port
        self.number = number
        self.target = target
        self.due_s = due_s


class Prober:
    """Probes in turn; `advance` returns the member that failed a probe, if one did."""

    def __init__(
        self,
        membership: Membership,
        outbox: Outbox,
        health: Health,
        dice: random.Random,
        now: float,
    ) -> None:
        self._membership = membership
        self._outbox = outbox
        self._health = health
        self._rtt_s = 0.0
        self._deviation_s = 0.0
        self._number = int(dice.random() * NUMBER_MAX)
        self._probe: _Probe | None = None
        self._starts_s = now + dice.random() * PERIOD_S
        self._relayed: dict[int, _Relayed] = {}
        """By the number of the ping; the first is due first."""

    @property
    def timeout_s(self) -> float:
        """Wait for an answer, without regard to health: as TCP's (RFC 6298), within bounds."""
        return min(TIMEOUT_MAX_S, max(TIMEOUT_MIN_S, self._rtt_s + 4.0 * self._deviation_s))

    @property
    def rtt_s(self) -> float:
        """Average round trip of answered probes."""
        return self._rtt_s

    def next_s(self) -> float:
        """When `advance` has something to do."""
        probe = self._probe
        due_s = self._starts_s if probe is None else probe.next_s
        if self._relayed:
            due_s = min(due_s, next(iter(self._relayed.values())).due_s)
        return due_s

    def number(self) -> int:
        """A fresh number for a ping."""
        self._number = (self._number + 1) & NUMBER_MAX
        return self._number

    def advance(self, now: float) -> Member | None:
        """Do what is due. Returns the member whose probe failed now."""
        if self._relayed:
            self._give_up_relayed(now)
        failed: Member | None = None
        probe = self._probe
        if probe is not None and now >= probe.next_s:
            if now < probe.ends_s:
                self._repeat(probe, now)
            else:
                failed = self._fail(probe)
                probe = None
        if probe is None and now >= self._starts_s:
            self._start(now)
        return failed

    def _start(self, now: float) -> None:
        timeout_s = self.timeout_s * self._health.slowness
        self._starts_s = now + max(PERIOD_S * self._health.slowness, timeout_s * (REPETITIONS + 1))
        target = self._membership.next_to_probe()
        if target is not None:
            self._probe = _Probe(target, self.number(), now, timeout_s, self._starts_s)
            self._outbox.ping(target, self._probe.number)

    def _repeat(self, probe: _Probe, now: float) -> None:
        probe.repeated += 1
        probe.next_s = now + probe.timeout_s if probe.repeated < REPETITIONS else probe.ends_s
        target = self._membership.table.get(probe.target.id, probe.target)
        self._outbox.ping(target, probe.number, again=True)
        for relay in self._membership.pick(RELAYS, target.id, met=True):
            probe.asked += 1
            self._outbox.ask(relay, probe.number, target.id)

    def _fail(self, probe: _Probe) -> Member:
        self._probe = None
        if 2 * probe.nacks <= probe.asked:
            self._health.worsen()
        return probe.target

    # --- answers --------------------------------------------------------------------------------

    def acked(self, ack: Ack, now: float) -> None:
        """An answer came: to the running probe, or to a ping on behalf of another."""
        probe = self._probe
        if probe is not None and ack.number == probe.number:
            if (ack.of or ack.sender.id) == probe.target.id:
                if not probe.repeated:
                    self._measure(now - probe.sent_s)
                self._health.better()
                self._probe = None
            return
        relayed = self._relayed.get(ack.number)
        if relayed is not None and relayed.target == ack.sender.id and not ack.of:
            del self._relayed[ack.number]
            self._outbox.relay(relayed.host, relayed.port, relayed.number, ack.sender)

    def nacked(self, nack: Nack) -> None:
        """A relay lives, and heard nothing."""
        probe = self._probe
        if probe is not None and nack.number == probe.number:
            probe.nacks += 1

    def asked(self, host: str, port: int, request: PingRequest, now: float) -> None:
        """Somebody wants a member pinged."""
        target = self._membership.table.get(request.target)
        if target is None:
            self._outbox.nack(host, port, request.number)
            return
        if len(self._relayed) >= RELAYED_MAX:
            return
        number = self.number()
        due_s = now + NACK_AFTER_RATIO * self.timeout_s
        self._relayed[number] = _Relayed(host, port, request.number, target.id, due_s)
        self._outbox.ping(target, number)

    def pause(self, now: float) -> None:
        """This node stood still: what it waited for may have come and gone."""
        self._probe = None
        self._relayed.clear()
        self._starts_s = now + PERIOD_S

    def _give_up_relayed(self, now: float) -> None:
        while self._relayed:
            number, relayed = next(iter(self._relayed.items()))
            if now < relayed.due_s:
                return
            del self._relayed[number]
            self._outbox.nack(relayed.host, relayed.port, relayed.number)

    def _measure(self, rtt_s: float) -> None:
        if not self._rtt_s:
            self._rtt_s, self._deviation_s = rtt_s, rtt_s / 2.0
            return
        self._deviation_s += DEVIATION_GAIN * (abs(rtt_s - self._rtt_s) - self._deviation_s)
        self._rtt_s += RTT_GAIN * (rtt_s - self._rtt_s)
