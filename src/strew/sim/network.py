"""Network: hosts, their links, and what several flows at once make of them.

The model, stated. Bytes flow like water. Each host has an uplink and a downlink, each rack a link
to the core each way. A host divides its uplink evenly among the flows it sends, except that a flow
which cannot take its share leaves the rest to the others (water-filling); a downlink on which more
arrives than fits is divided in the same way. What a flow gets is the least of its shares. This is
max-min fairness up to one step: whoever is slowed down at the far end gives its share back to its
brothers at once, and their gain is passed on when one of *their* ends changes next.

The sender's own queue: a kernel takes some payload of each connection in advance. So a chunk is
handed over before its last byte leaves (`mark`), and a control message waits behind what all
connections have queued; the same at the far end if the downlink is full. A simulation without that
queue is wrong by tenths of the bound, in both directions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from strew.sim.world import World

SEND_QUEUE_S = 0.002
SEND_QUEUE_FRAMES_BYTES = 16 << 10
SEND_QUEUE_BYTES_MIN = 24 << 10
SEND_QUEUE_BYTES_MAX = 4 << 20
"""As the product sets its kernel queues (strew.transfer.limits): measured rate x (round trip and
a wake-up), within bounds."""

FAST_BYTES_PER_S, FAST_AFTER_S = 64 << 20, 0.25
FAST_QUEUE_S, FAST_QUEUE_BYTES_MAX, FAST_SHARES = 0.03, 512 << 10, 24
"""... and more at a node that sends so much, once it has measured that: there two dozen connections
share an uplink."""

KERNEL_RATIO = 1.5
"""What the kernel takes of payload for a queue of size 1: it doubles what it is told and counts its
own bookkeeping."""

SHARES = 3
"""Connections among which a busy uplink is divided, for the rate of one."""

RETRY_FIRST_S = 0.2
"""TCP tries again what was lost after this, then after twice as long each time (RFC 6298): what a
partition held back goes on at the first try after its end."""

NEVER_S = 1e30
FULL_RATIO = 0.98
"""A link so far used counts as full: what crosses it queues."""

SLACK = 1.0 + 1e-6


class Flow:
    """Bytes on their way from one host to another.

    `marked` is called once, when no more than `mark_bytes` are left; below zero: never.
    """

    __slots__ = (
        "at_s",
        "done",
        "end_s",
        "left_bytes",
        "mark_bytes",
        "marked",
        "rate",
        "size_bytes",
        "source",
        "target",
    )

    def __init__(
        self,
        source: Host,
        target: Host,
        size_bytes: float,
        now: float,
        done: Callable[[Flow], None],
    ) -> None:
        self.source = source
        self.target = target
        self.size_bytes = size_bytes
        self.left_bytes = size_bytes
        self.rate = 0.0
        self.at_s = now
        self.end_s = NEVER_S
        self.done = done
        self.mark_bytes = -1.0
        self.marked: Callable[[], None] | None = None


class Host:
    """One machine's place in the network. Rates are payload bytes/s."""

    __slots__ = (
        "alive",
        "deep_queue_bytes",
        "down_bytes_per_s",
        "fast_after_bytes",
        "incoming",
        "number",
        "outgoing",
        "queue_bytes",
        "rack",
        "received_bytes",
        "receiving",
        "sent_bytes",
        "side",
        "up_bytes_per_s",
        "wake_s",
    )

    def __init__(self, number: int, up: float, down: float, rack: int, queue_bytes: float) -> None:
        self.number = number
        self.queue_bytes = queue_bytes
        self.up_bytes_per_s = up
        self.down_bytes_per_s = down
        self.rack = rack
        self.alive = True
        self.side = 0
        self.outgoing: list[Flow] = []
        self.incoming: list[Flow] = []
        self.receiving = 0.0
        self.sent_bytes = 0.0
        self.fast_after_bytes = FAST_AFTER_S * up if up >= FAST_BYTES_PER_S else math.inf
        deep_bytes = KERNEL_RATIO * min(up / FAST_SHARES * FAST_QUEUE_S, FAST_QUEUE_BYTES_MAX)
        self.deep_queue_bytes = max(queue_bytes, deep_bytes)
        self.received_bytes = 0.0
        self.wake_s = NEVER_S


class Rack:
    """A rack's link to the core; `out` and `into` count the flows that cross it."""

    __slots__ = ("bytes_per_s", "into", "out")

    def __init__(self, bytes_per_s: float) -> None:
        self.bytes_per_s = bytes_per_s
        self.out = 0
        self.into = 0


class Network:
    """Hosts and flows on a world's clock. `latency_s` is one way, between any two hosts."""

    def __init__(
        self,
        world: World,
        latency_s: float,
        *,
        racks: int = 1,
        rack_bytes_per_s: float | None = None,
    ) -> None:
        self.world = world
        self.latency_s = latency_s
        self.hosts: list[Host] = []
        self.racks = (
            [] if rack_bytes_per_s is None else [Rack(rack_bytes_per_s) for _ in range(racks)]
        )
        self.crossed_bytes = 0.0
        self._whole_s = 0.0
        self._busy = False
        self._senders: list[Host] = []
        self._receivers: list[Host] = []

    def host(self, up_bytes_per_s: float, down_bytes_per_s: float, rack: int = 0) -> Host:
        """Connect one more machine."""
        wanted = up_bytes_per_s / SHARES * (2.0 * self.latency_s + SEND_QUEUE_S)
        wanted += SEND_QUEUE_FRAMES_BYTES
        queue_bytes = KERNEL_RATIO * min(max(wanted, SEND_QUEUE_BYTES_MIN), SEND_QUEUE_BYTES_MAX)
        host = Host(len(self.hosts), up_bytes_per_s, down_bytes_per_s, rack, queue_bytes)
        self.hosts.append(host)
        return host

    # --- partitions ------------------------------------------------------------------------------

    def cut(self, hosts: Sequence[Host], seconds: float) -> None:
        """Nothing passes between these hosts and all others for so long."""
        tries_s = RETRY_FIRST_S
        while tries_s < seconds:
            tries_s = 2.0 * tries_s + RETRY_FIRST_S
        self._whole_s = self.world.now + tries_s
        for host in hosts:
            host.side = 1
        self._divide_all()
        self.world.at(self._whole_s, self._heal)

    def _heal(self) -> None:
        for host in self.hosts:
            host.side = 0
        self._divide_all()

    def _divide_all(self) -> None:
        self._senders.extend(self.hosts)
        if not self._busy:
            self._settle()

    def severed_s(self, source: Host, target: Host) -> float:
        """For how long from now nothing passes between two hosts."""
        return 0.0 if source.side == target.side else self._whole_s - self.world.now

    # --- flows -----------------------------------------------------------------------------------

    def start(
        self, source: Host, target: Host, size_bytes: float, done: Callable[[Flow], None]
    ) -> Flow:
        """Let bytes flow; `done(flow)` when the last one left (it arrives `latency_s` later)."""
        flow = Flow(source, target, size_bytes, self.world.now, done)
        source.outgoing.append(flow)
        target.incoming.append(flow)
        if self.racks and source.rack != target.rack:
            self.racks[source.rack].out += 1
            self.racks[target.rack].into += 1
        self._senders.append(source)
        if not self._busy:
            self._settle()
        return flow

    def mark(self, flow: Flow, left_bytes: float, marked: Callable[[], None]) -> None:
        """Call `marked()` when no more than this is left of a running flow: later, never now."""
        self._advance(flow)
        flow.mark_bytes = min(left_bytes, flow.left_bytes)
        flow.marked = marked
        self._plan_end(flow)
        self._plan_wake(flow.source)

    def stop(self, flow: Flow) -> float:
        """Break a flow off; returns the bytes that had not left. `done` is not called."""
        if flow not in flow.source.outgoing:
            return 0.0
        self._advance(flow)
        self._remove(flow)
        if not self._busy:
            self._settle()
        return flow.left_bytes

    def _remove(self, flow: Flow) -> None:
        source, target = flow.source, flow.target
        source.outgoing.remove(flow)
        target.incoming.remove(flow)
        target.receiving -= flow.rate
        moved = flow.size_bytes - flow.left_bytes
        source.sent_bytes += moved
        if source.sent_bytes >= source.fast_after_bytes:
            source.queue_bytes, source.fast_after_bytes = source.deep_queue_bytes, math.inf
        target.received_bytes += moved
        if source.rack != target.rack:
            self.crossed_bytes += moved
            if self.racks:
                self.racks[source.rack].out -= 1
                self.racks[target.rack].into -= 1
        self._senders.append(source)
        if (target.receiving + flow.rate) * SLACK >= target.down_bytes_per_s:
            self._receivers.append(target)
        flow.rate = 0.0

    def _advance(self, flow: Flow) -> None:
        now = self.world.now
        if now > flow.at_s:
            left = flow.left_bytes - flow.rate * (now - flow.at_s)
            flow.left_bytes = left if left > 0.0 else 0.0
            flow.at_s = now

    # --- sharing ---------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Divide the links anew wherever something began or ended."""
        senders, receivers = self._senders, self._receivers
        if receivers:
            for receiver in receivers:
                for flow in receiver.incoming:
                    senders.append(flow.source)
            receivers.clear()
        seen: list[Host] = []
        for sender in senders:
            if sender in seen:
                continue
            seen.append(sender)
            if sender.outgoing:
                self._divide_up(sender)
        senders.clear()

    def _divide_up(self, sender: Host) -> None:
        """Share the uplink among its flows, none more than its far end can take."""
        caps: list[tuple[float, int]] = []
        outgoing = sender.outgoing
        for position in range(len(outgoing)):
            flow = outgoing[position]
            target = flow.target
            down = target.down_bytes_per_s
            count = len(target.incoming)
            cap = down if count == 1 else max(down / count, down - target.receiving + flow.rate)
            if self.racks and sender.rack != target.rack:
                out, into = self.racks[sender.rack], self.racks[target.rack]
                cap = min(cap, out.bytes_per_s / out.out, into.bytes_per_s / into.into)
            if sender.side != target.side:
                cap = 0.0
            caps.append((cap, position))
        caps.sort()
        left = sender.up_bytes_per_s
        count = len(caps)
        for cap, position in caps:
            share = left / count
            rate = cap if cap < share else share
            left -= rate
            count -= 1
            flow = outgoing[position]
            if rate != flow.rate:
                self._set_rate(flow, rate)
        for flow in outgoing:
            target = flow.target
            if target.receiving > target.down_bytes_per_s * SLACK:
                self._divide_down(target)
        self._plan_wake(sender)

    def _divide_down(self, target: Host) -> None:
        """More arrives than fits: each flow gets a fair share at most."""
        incoming = sorted([(flow.rate, position) for position, flow in enumerate(target.incoming)])
        left = target.down_bytes_per_s
        count = len(incoming)
        for rate, position in incoming:
            share = left / count
            if rate > share:
                self._set_rate(target.incoming[position], share)
                rate = share
            left -= rate
            count -= 1

    def _set_rate(self, flow: Flow, rate: float) -> None:
        self._advance(flow)
        flow.target.receiving += rate - flow.rate
        flow.rate = rate
        self._plan_end(flow)

    def _plan_end(self, flow: Flow) -> None:
        """When the flow is to be looked at: at its mark, if it has one, else at its end."""
        if flow.rate <= 0.0:
            flow.end_s = NEVER_S
            return
        left = flow.left_bytes
        if flow.mark_bytes >= 0.0:
            left -= flow.mark_bytes
        flow.end_s = flow.at_s + left / flow.rate

    # --- ends ------------------------------------------------------------------------------------

    def _plan_wake(self, host: Host) -> None:
        """Have the host looked at when its next flow ends; one too early only looks."""
        end_s = NEVER_S
        for flow in host.outgoing:
            if flow.end_s < end_s:
                end_s = flow.end_s
        if end_s < host.wake_s - 1e-12:
            host.wake_s = end_s
            self.world.at(end_s, self._wake, host, end_s)

    def _wake(self, host: Host, due_s: float) -> None:
        if host.wake_s != due_s:
            return
        host.wake_s = NEVER_S
        now = self.world.now
        limit_s = now + 1e-9
        ended = [flow for flow in host.outgoing if flow.end_s <= limit_s]
        if ended:
            outer, self._busy = self._busy, True
            for flow in ended:
                if flow.mark_bytes >= 0.0:
                    self._reach_mark(flow)
                    continue
                flow.left_bytes = 0.0
                flow.at_s = now
                self._remove(flow)
                flow.done(flow)
            self._busy = outer
            if not outer:
                self._settle()
        self._plan_wake(host)

    def _reach_mark(self, flow: Flow) -> None:
        self._advance(flow)
        flow.mark_bytes = -1.0
        marked, flow.marked = flow.marked, None
        self._plan_end(flow)
        assert marked is not None
        marked()

    # --- control ---------------------------------------------------------------------------------

    def control_delay_s(self, source: Host, target: Host, size_bytes: int) -> float:
        """How long a control message of this size takes one way, sent now."""
        up, down = source.up_bytes_per_s, target.down_bytes_per_s
        delay_s = self.latency_s + size_bytes / up + self.severed_s(source, target)
        if source.outgoing:
            delay_s += self.queue_bytes(source) / up
        if target.receiving >= FULL_RATIO * down:
            queued = 0.0
            for flow in target.incoming:
                queued += flow.source.queue_bytes
            delay_s += queued / down
        return delay_s

    def queue_bytes(self, source: Host) -> float:
        """Payload in the kernel before a new message: connections that are held up elsewhere
        keep theirs there."""
        sending = queued = 0.0
        queue_bytes = source.queue_bytes
        for flow in source.outgoing:
            sending += flow.rate
            queued += queue_bytes if flow.left_bytes > queue_bytes else flow.left_bytes
        return queued if sending >= FULL_RATIO * source.up_bytes_per_s else 0.0
