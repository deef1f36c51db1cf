"""Machines of a lab: namespaces on a switch of their own, behind links that are shaped both ways.

Host 0 is the origin. The switch is a bridge in one more namespace, from which the lab itself
speaks to the hosts. What a host sends waits in a token bucket (tc-tbf(8)) at its own end of its
link, what it receives in one at the switch's end: as with real cards and switches, the sender's
queue is the sender's, and others' packets for one host wait for each other at the switch.

Every host knows every other's hardware address from the start, and the switch knows all ports:
neither ARP nor flooding is measured, and the kernel's one table of neighbours (1024 entries for
all namespaces together) cannot overflow, as it does not count permanent ones.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strew.lab import namespaces
from strew.lab.processes import Account
from strew.lab.terms import ETHERNET_BYTES, MTU_BYTES, Terms, goodput

PREFIX = "strewlab"
"""Of the names of namespaces and groups; the lab's process id follows."""

SWITCH = "switch"
SWITCH_ADDRESS = "10.213.255.254"
BRIDGE = "bridge"
CARD = "eth0"

FRAME_BYTES = MTU_BYTES + ETHERNET_BYTES

BURST_S = 0.002
BURST_FRAMES = 2
"""What a bucket may send at once: of its rate so many seconds, and at least so many frames.
Smaller, and a core that is late to refill it loses tokens for good; larger, and links are not
links, as an idle one then has so much for nothing."""

QUEUE_S = 0.05
QUEUE_FRAMES = 32
"""What may wait for a bucket. Smaller, and packets are lost where several senders meet, as in a
switch without memory; larger, and what waits behind is late."""

FIREWALL_KNOBS = Path("/proc/sys/net/bridge")

KILLED_WITHIN_S = 5.0
LOOK_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Host:
    """One machine. `folder` is its disk; `late_s` as strew.lab.terms.Terms.late_s_of says."""

    number: int
    namespace: str
    address: str
    folder: Path
    rate_bytes_per_s: int | None
    late_s: float = 0.0

    @property
    def port(self) -> str:
        """Its port of the switch."""
        return f"port{self.number}"

    @property
    def goodput_bytes_per_s(self) -> float | None:
        """What TCP can carry to it or from it."""
        return None if self.rate_bytes_per_s is None else goodput(self.rate_bytes_per_s)


class Bench:
    """Made by `open_bench`. Counters and CPU time count from the last `mark`."""

    def __init__(self, terms: Terms, folder: Path) -> None:
        self.terms = terms
        self.folder = folder
        self.name = f"{PREFIX}{os.getpid()}"
        self.until_closed = AsyncExitStack()
        """What a contender holds open for as long as the bench is there."""
        self._switch = f"{self.name}-{SWITCH}"
        self.hosts = [self._host(number) for number in range(terms.nodes + 1)]
        self._account = Account(self.name, [host.namespace for host in self.hosts])
        self._counted: dict[str, tuple[int, int]] = {}
        self._counts_traffic = False
        self.is_marked = False
        """Whether a contender's clock has started."""
        self._processes: list[asyncio.subprocess.Process] = []

    def _host(self, number: int) -> Host:
        return Host(
            number,
            f"{self.name}-{number}",
            f"10.213.{(number + 1) >> 8}.{(number + 1) & 255}",
            self.folder / f"host-{number}",
            self.terms.rate_of(number),
            self.terms.late_s_of(number),
        )

    @property
    def origin(self) -> Host:
        return self.hosts[0]

    @property
    def machines(self) -> list[Host]:
        """All hosts but the origin."""
        return self.hosts[1:]

    @property
    def goodput_bytes_per_s(self) -> float | None:
        """B: what TCP can carry over the origin's link; None where nothing is shaped."""
        return self.origin.goodput_bytes_per_s

    def wrapping(self, host: Host) -> list[str]:
        """What to put before a command line so that it runs on a host, on the bench's account.

        The process keeps its id. It is ended with the bench.
        """
        enter = ["ip", "netns", "exec", host.namespace]
        group = self._account.group
        if group is None:
            return enter
        join = 'echo $$ >"$0" && exec "$@"'
        return ["sh", "-c", join, str(group), *enter]

    async def spawn(
        self,
        host: Host,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: int | Any = asyncio.subprocess.DEVNULL,
        stdout: int | Any = asyncio.subprocess.DEVNULL,
        stderr: int | Any = asyncio.subprocess.DEVNULL,
    ) -> asyncio.subprocess.Process:
        """Start a program on a host, in the host's folder; it is ended with the bench."""
        process = await asyncio.create_subprocess_exec(
            *self.wrapping(host),
            *argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=None if env is None else dict(env),
            cwd=host.folder,
            start_new_session=True,  # Ctrl-C is for this process, which ends all others
        )
        self._processes.append(process)
        return process

    def socket(self, address: Any = None) -> socket.socket:
        """A socket that reaches the hosts: for aiohttp.TCPConnector(socket_factory=...)."""
        return namespaces.tcp_socket(self._switch)

    def count_traffic(self) -> None:
        """Bytes count from here: for whoever may send before it is known that the clock started."""
        self._counted = self.counters()
        self._counts_traffic = True

    def mark(self) -> None:
        """The clock starts: what is counted counts from here, bytes perhaps already."""
        if not self._counts_traffic:
            self.count_traffic()
        self._account.mark()
        self.is_marked = True

    def sent_bytes(self, host: Host) -> int:
        """What a host's card sent, framing included."""
        return self._since(host)[0]

    def received_bytes(self, host: Host) -> int:
        """What a host's card received, framing included."""
        return self._since(host)[1]

    def _since(self, host: Host) -> tuple[int, int]:
        sent, received = self.counters()[host.port]
        before = self._counted.get(host.port, (0, 0))
        return sent - before[0], received - before[1]

    def counters(self) -> dict[str, tuple[int, int]]:
        """Bytes from and to each host so far, by port, as the switch counted them."""
        with namespaces.entered(self._switch):
            lines = Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]
        counted: dict[str, tuple[int, int]] = {}
        for line in lines:
            name, _, numbers = line.partition(":")
            fields = numbers.split()
            counted[name.strip()] = int(fields[0]), int(fields[8])
        return counted

    def dropped_packets(self) -> int:
        """Packets that found a queue full, on all links and both ways, since the bench began."""
        texts = [
            namespaces.run(["tc", "-n", name, "-s", "qdisc", "show"])
            for name in (self._switch, *(host.namespace for host in self.hosts))
        ]
        words = [text.split("(dropped ")[1:] for text in texts]
        return sum(int(word.split(",")[0]) for found in words for word in found)

    def cpu_s(self) -> float:
        """User and system time of all processes on the hosts."""
        return self._account.cpu_s()

    def rss_peak_bytes(self) -> int:
        """The most memory that a process of a machine (not the origin) had resident so far."""
        return self._account.rss_peak_bytes([host.namespace for host in self.machines])

    async def start(self) -> None:
        """See `open_bench`."""
        self._account.open()
        names = [self._switch, *(host.namespace for host in self.hosts)]
        namespaces.tell("ip", (f"netns add {name}" for name in names))
        await asyncio.sleep(0)  # between steps, so that a signal ends it soon
        namespaces.tell("ip", _switch_lines(self.hosts), self._switch)
        namespaces.tell("bridge", _port_lines(self.hosts), self._switch)
        _bypass_firewall(self._switch)
        shaped = [host for host in self.hosts if host.rate_bytes_per_s is not None]
        namespaces.tell("tc", (_bucket(host.port, host) for host in shaped), self._switch)
        for host in self.hosts:
            await asyncio.sleep(0)
            host.folder.mkdir(parents=True)
            namespaces.tell("ip", _host_lines(host, self.hosts), host.namespace)
            if host.rate_bytes_per_s is not None:
                namespaces.tell("tc", [_bucket(CARD, host)], host.namespace)
        self._counted = self.counters()
        self._account.mark()
        self._account.watch()

    async def close(self) -> None:
        """End all processes, then take everything away."""
        names = [self._switch, *(host.namespace for host in self.hosts)]
        try:
            self._account.unwatch()
            # first what contenders end themselves: who kills a process should also wait for it
            await self.until_closed.aclose()
            for process in self._processes:
                with suppress(ProcessLookupError):
                    process.kill()  # one that has just begun is in no namespace yet
                await process.wait()
            await end_inhabitants(names)
        finally:
            remove(names)
            await self._account.close()
            for host in self.hosts:
                shutil.rmtree(host.folder, ignore_errors=True)


@asynccontextmanager
async def open_bench(terms: Terms, folder: Path) -> AsyncIterator[Bench]:
    """Hosts as `terms` say, with their disks below `folder`; nothing is left of them afterwards.

    Needs root. DeniedError, ConfigurationError.
    """
    bench = Bench(terms, folder)
    try:
        await bench.start()
        yield bench
    finally:
        await bench.close()


async def end_inhabitants(names: Sequence[str]) -> None:
    """Kill all processes in these namespaces, and those they start meanwhile."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + KILLED_WITHIN_S
    while pids := [pid for some in namespaces.inhabitants(names).values() for pid in some]:
        if loop.time() > end_s:
            return  # what the kernel does not let go now, the next lab finds
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(LOOK_EVERY_S)


def remove(names: Sequence[str]) -> None:
    """Take namespaces away; their cards, links and bridges go with them."""
    there = [name for name in names if namespaces.inode(name) is not None]
    if there:
        namespaces.tell("ip", (f"netns delete {name}" for name in there))


def _hardware(number: int) -> str:
    """A host's address on the wire, of those that anybody may assign."""
    return f"02:d5:00:00:{number >> 8:02x}:{number & 255:02x}"


_SWITCH_HARDWARE = "02:d5:00:01:00:00"


def _switch_lines(hosts: Sequence[Host]) -> list[str]:
    """The bridge, a link to each host, and the lab's own place on it."""
    lines = [
        f"link add {BRIDGE} mtu {MTU_BYTES} address {_SWITCH_HARDWARE} type bridge "
        "stp_state 0 mcast_snooping 0",
        f"address add {SWITCH_ADDRESS}/16 dev {BRIDGE}",
        f"link set {BRIDGE} up",
    ]
    for host in hosts:
        lines += [
            f"link add {host.port} mtu {MTU_BYTES} type veth peer name {CARD} mtu {MTU_BYTES} "
            f"address {_hardware(host.number)} netns {host.namespace}",
            f"link set {host.port} master {BRIDGE} up",
        ]
    return lines + _neighbour_lines(hosts, BRIDGE)


def _port_lines(hosts: Sequence[Host]) -> list[str]:
    lines = [f"link set dev {host.port} learning off flood off" for host in hosts]
    return lines + [
        f"fdb replace {_hardware(host.number)} dev {host.port} master static" for host in hosts
    ]


def _bypass_firewall(switch: str) -> None:
    """A switch has no firewall: where br_netfilter is loaded, every frame would pass one."""
    with namespaces.entered(switch):
        for knob in FIREWALL_KNOBS.glob("bridge-nf-call-*"):
            with suppress(OSError):  # old kernels have these for the whole machine only
                knob.write_text("0")


def _host_lines(host: Host, hosts: Sequence[Host]) -> list[str]:
    others = [other for other in hosts if other is not host]
    return [
        f"address add {host.address}/16 dev {CARD}",
        "link set lo up",
        f"link set {CARD} up",
        f"neighbour replace {SWITCH_ADDRESS} lladdr {_SWITCH_HARDWARE} dev {CARD} nud permanent",
        *_neighbour_lines(others, CARD),
    ]


def _neighbour_lines(hosts: Sequence[Host], card: str) -> list[str]:
    return [
        f"neighbour replace {host.address} lladdr {_hardware(host.number)} dev {card} nud permanent"
        for host in hosts
    ]


def _bucket(card: str, host: Host) -> str:
    """The command that shapes one end of a host's link."""
    rate = host.rate_bytes_per_s
    assert rate is not None
    burst, limit = bucket_bytes(rate)
    return f"qdisc replace dev {card} root tbf rate {rate * 8}bit burst {burst} limit {limit}"


def bucket_bytes(rate_bytes_per_s: int) -> tuple[int, int]:
    """Burst and limit of the bucket of a link, in bytes."""
    burst = max(BURST_FRAMES * FRAME_BYTES, round(rate_bytes_per_s * BURST_S))
    limit = max(QUEUE_FRAMES * FRAME_BYTES, round(rate_bytes_per_s * QUEUE_S))
    return burst, limit
