"""Whether the links carry what they are said to: iperf3 over all of them at once, in a ring."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from strew.errors import ConfigurationError
from strew.lab.network import Bench, Host, open_bench
from strew.lab.terms import Terms

FOR_S = 8
"""How long bytes are sent; a shorter time measures TCP's start."""

SETTLE_S = 1.0
"""Left out at the beginning, for the same reason."""

END_WITHIN_S = 30.0
AGAIN_AFTER_S = 0.1

TOLERANCE = 0.02
"""How far a link's goodput may be from what its rate promises. Marks are some percent: links that
are off by more than this say nothing about them."""


class LinkCheck(msgspec.Struct, frozen=True, kw_only=True):
    """From one host to the next. `ratio` is goodput over B; `promised` is the slower one's of the
    two links."""

    source: int
    target: int
    goodput_bytes_per_s: float
    promised_bytes_per_s: float | None
    ratio: float | None


class LinksCheck(msgspec.Struct, frozen=True, kw_only=True):
    """All links, each loaded both ways at the same time. `dropped_packets` found a full queue."""

    links: tuple[LinkCheck, ...]
    dropped_packets: int

    @property
    def worst(self) -> float | None:
        """The ratio that is farthest from 1."""
        ratios = [link.ratio for link in self.links if link.ratio is not None]
        return max(ratios, key=lambda ratio: abs(ratio - 1), default=None)


async def check_links(terms: Terms, folder: Path) -> LinksCheck:
    """Every host sends to the next one, the last to the origin. ConfigurationError."""
    async with open_bench(terms, folder) as bench:
        ring = list(zip(bench.hosts, [*bench.hosts[1:], bench.hosts[0]], strict=True))
        for host in bench.hosts:
            await bench.spawn(host, ["iperf3", "--server", "--one-off"])
        checks = await asyncio.gather(*(_check(bench, one, other) for one, other in ring))
        return LinksCheck(links=tuple(checks), dropped_packets=bench.dropped_packets())


async def _check(bench: Bench, source: Host, target: Host) -> LinkCheck:
    words = ["iperf3", "--client", target.address, "--time", str(FOR_S), "--json"]
    words += ["--omit", f"{SETTLE_S:g}"]
    end_s = asyncio.get_running_loop().time() + END_WITHIN_S
    while True:
        process = await bench.spawn(source, words, stdout=asyncio.subprocess.PIPE)
        said, _ = await process.communicate()
        goodput = _goodput(said)
        if goodput is not None:
            return _link(source, target, goodput)
        if asyncio.get_running_loop().time() > end_s:
            raise ConfigurationError(f"iperf3 does not work here: {_complaint(said)}")
        await asyncio.sleep(AGAIN_AFTER_S)  # the other end has not started yet


def _link(source: Host, target: Host, goodput: float) -> LinkCheck:
    both: Sequence[float | None] = (source.goodput_bytes_per_s, target.goodput_bytes_per_s)
    promised = min((rate for rate in both if rate is not None), default=None)
    return LinkCheck(
        source=source.number,
        target=target.number,
        goodput_bytes_per_s=goodput,
        promised_bytes_per_s=promised,
        ratio=None if promised is None else goodput / promised,
    )


class _Sum(msgspec.Struct):
    bits_per_second: float


class _End(msgspec.Struct):
    sum_received: _Sum


class _Report(msgspec.Struct):
    """Of what iperf3 --json prints."""

    end: _End


class _Failure(msgspec.Struct):
    error: str = ""


def _goodput(said: bytes) -> float | None:
    """What the other end received, in bytes/s; None if nothing was measured."""
    try:
        return msgspec.json.decode(said, type=_Report).end.sum_received.bits_per_second / 8
    except msgspec.DecodeError:
        return None


def _complaint(said: bytes) -> str:
    try:
        return msgspec.json.decode(said, type=_Failure).error
    except msgspec.DecodeError:
        return "it failed"
