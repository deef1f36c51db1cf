"""What is asked of a lab: how many machines, behind which links, and what befalls them."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from strew.agent.quantity import GIB, MIB, exact_size
from strew.errors import UsageError

NODES_MAX = 64
"""Each is a process and a namespace; more on one machine measure its scheduler."""

SIZE_MIN_BYTES = MIB
SIZE_MAX_BYTES = 16 * GIB
"""Every machine keeps its copy on this one's disk."""

RATE_MIN_BYTES_PER_S = 125_000
"""1 Mbit/s: below, one frame of the link takes longer than its clock is precise."""

MTU_BYTES = 9000
"""With 1500 the kernel's work for each packet, and not the links, fills the cores."""

HEADERS_BYTES = 52
"""Of IPv4 (20), TCP (20) and its timestamps (12), inside of the MTU (RFC 791, 9293, 7323)."""

ETHERNET_BYTES = 14
"""Source, target and type: what a token bucket counts beside the MTU."""

CORE_CARRIES_BYTES_PER_S = 50_000_000
"""What one core carries of all links together, 400 Mbit/s. Beyond it the lab measures the
processors and not the links."""


@dataclass(frozen=True, slots=True)
class Slow:
    """A share of the machines has another rate, both ways."""

    fraction: float
    rate_bytes_per_s: int


@dataclass(frozen=True, slots=True)
class Late:
    """A share of the machines is started so long after the clock."""

    fraction: float
    after_s: float


@dataclass(frozen=True, slots=True)
class Kill:
    """One machine's process is ended with SIGKILL, and started again at once."""

    number: int
    after_s: float


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """`check` raises UsageError. Rates are those of the links, framing included; None: as fast as
    this machine is. The machines are numbered from 1, the origin is number 0."""

    nodes: int = 8
    size_bytes: int = 128 * MIB
    rate_bytes_per_s: int | None = 12_500_000
    slow: Slow | None = None
    late: Late | None = None
    kill: Kill | None = None
    neighbours: int | None = None
    recorded: bool = False
    """Whether contenders that can are to tell where the time went."""

    def check(self) -> None:
        """Whether these can be met on any machine."""
        if not 1 <= self.nodes <= NODES_MAX:
            raise UsageError(f"{self.nodes} nodes: from 1 to {NODES_MAX} can be had")
        if not SIZE_MIN_BYTES <= self.size_bytes <= SIZE_MAX_BYTES:
            limits = f"from {exact_size(SIZE_MIN_BYTES)} to {exact_size(SIZE_MAX_BYTES)}"
            raise UsageError(f"a file of {self.size_bytes} bytes: {limits} can be had")
        if self.slow is not None and self.rate_bytes_per_s is None:
            raise UsageError("slow links without a rate", hint="give --rate, or no --slow")
        for rate in self._rates():
            if rate < RATE_MIN_BYTES_PER_S:
                raise UsageError(f"a link of {rate} bytes/s: from 1Mbit upwards can be had")
        for share in (self.slow, self.late):
            if share is not None and not 0 < share.fraction < 1:
                raise UsageError(
                    f"a share of {share.fraction:g} of the nodes: it must be above 0 and below 1",
                    hint="0.25 is a quarter",
                )
        if self.kill is not None and not 1 <= self.kill.number <= self.nodes:
            raise UsageError(f"node {self.kill.number}: they are numbered from 1 to {self.nodes}")
        if self.neighbours is not None and self.neighbours < 1:
            raise UsageError(f"{self.neighbours} neighbours: at least 1 is needed")

    def _rates(self) -> list[int]:
        rates = [] if self.rate_bytes_per_s is None else [self.rate_bytes_per_s]
        return rates if self.slow is None else [*rates, self.slow.rate_bytes_per_s]

    def rate_of(self, number: int) -> int | None:
        """The link of a machine in bytes/s, each way."""
        if self.slow is not None and number in self.slow_numbers:
            return self.slow.rate_bytes_per_s
        return self.rate_bytes_per_s

    def late_s_of(self, number: int) -> float:
        """How long after the clock's start a machine is started; 0 for one that waits for it."""
        return self.late.after_s if self.late is not None and number in self.late_numbers else 0.0

    @property
    def slow_numbers(self) -> range:
        """The slow machines: the last ones, at least one if any is asked for."""
        return self._last(self.slow.fraction if self.slow is not None else 0.0)

    @property
    def late_numbers(self) -> range:
        """The late machines: the last ones, at least one if any is asked for."""
        return self._last(self.late.fraction if self.late is not None else 0.0)

    def _last(self, fraction: float) -> range:
        count = max(1, round(fraction * self.nodes)) if fraction else 0
        return range(self.nodes + 1 - count, self.nodes + 1)

    def overload(self, cores: int) -> float | None:
        """All machines' rates together over what the cores carry; None without rates."""
        if self.rate_bytes_per_s is None:
            return None
        rates = (self.rate_of(number) or 0 for number in range(1, self.nodes + 1))
        return sum(rates) / (CORE_CARRIES_BYTES_PER_S * cores)


def goodput(rate_bytes_per_s: int) -> float:
    """What TCP can carry of a link's rate: B = rate · (MTU - 52)/(MTU + 14)."""
    return rate_bytes_per_s * (MTU_BYTES - HEADERS_BYTES) / (MTU_BYTES + ETHERNET_BYTES)
