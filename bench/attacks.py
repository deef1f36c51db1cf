"""What an attacked process is to those who ask it honestly, and a tracker to a whole fleet at once.

    python -m bench.attacks [--seconds 10] [--slow 500] [--rounds 3] [--json]

A real `strew serve` on loopback, as a user starts it. Two things:

* the time from the first byte of a connection to the end of its answer, for requests that come 50 a
  second, each over a connection of its own: p50 and p99 without an attack, and while another
  process holds `--slow` connections that send a head byte by byte, each opened anew when the
  service ends it. Idle and attacked stretches take turns.
* the time of announces: 1000 nodes announce within one second, each over a connection of its own,
  while 200 others hold an event stream; p50 and p99.
"""

import argparse
import asyncio
import contextlib
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.announce import KEY, Asker, announce_of, request
from bench.processes import Process, Processes

ASK_EVERY_S = 0.02

BYTE_EVERY_S = 0.2
"""Of each slow connection: 500 of them send 2500 bytes a second."""

AGENTS = 1000
STREAMS = 200

WARM_ASKS = 50
"""Before the first stretch: what is done once is not measured."""


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Processes, int]]:
    """`strew serve`: what starts more processes, and its port."""
    with Processes(folder) as processes:
        serve = processes.python(
            *("-m", "strew", "serve", "--listen", "127.0.0.1:0", "--json"),
            STREW_FLEET_KEY=KEY.text,
        )
        yield processes, int(serve.wait_for("listening")["port"])


async def slow_heads(port: int, count: int) -> None:
    """Hold so many connections for ever."""

    async def one(number: int) -> None:
        await asyncio.sleep(number * BYTE_EVERY_S / count)
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                head = b"GET /api/v1/names HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
                ended = asyncio.ensure_future(reader.read())
                for byte in head + b"x" * 10_000:
                    if ended.done():
                        break
                    writer.write(bytes([byte]))
                    await asyncio.sleep(BYTE_EVERY_S)
                ended.cancel()
                writer.close()

    attack = asyncio.gather(*(one(number) for number in range(count)))
    await asyncio.sleep(2 * BYTE_EVERY_S)
    print(json.dumps({"type": "attacking"}), flush=True)
    await attack


async def ask_once(port: int, message: bytes) -> float:
    """The seconds of one honest request over a connection of its own."""
    started_s = time.perf_counter()
    asker = await Asker.to(port)
    await asker.ask(message)
    asker.close()
    return time.perf_counter() - started_s


async def paced(port: int, messages: list[bytes], every_s: float) -> list[float]:
    """Ask at even times, whether those before were answered or not; the seconds of each."""
    started_s = time.perf_counter()
    asks = []
    for number, message in enumerate(messages):
        wait_s = started_s + number * every_s - time.perf_counter()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        asks.append(asyncio.ensure_future(ask_once(port, message)))
    return sorted(await asyncio.gather(*asks))


def quantile(times_s: list[float], share: float) -> float:
    return times_s[min(int(len(times_s) * share), len(times_s) - 1)]


def measure_slow_heads(
    port: int, processes: Processes, options: argparse.Namespace
) -> dict[str, float]:
    """Honest requests with and without the attack, in turns."""
    message = request("GET", "/api/v1/names", KEY.node_token(), close=True)
    asyncio.run(paced(port, [message] * WARM_ASKS, ASK_EVERY_S))
    idle_s: list[float] = []
    attacked_s: list[float] = []
    asks = [message] * int(options.seconds / ASK_EVERY_S)
    for _ in range(options.rounds):
        idle_s += asyncio.run(paced(port, asks, ASK_EVERY_S))
        attack: Process = processes.python(
            *("-m", "bench.attacks", "--attack", str(port), "--slow", str(options.slow))
        )
        attack.wait_for("attacking")
        attacked_s += asyncio.run(paced(port, asks, ASK_EVERY_S))
        processes.stop(attack)
    idle_s.sort()
    attacked_s.sort()
    return {
        "idle_p50_s": quantile(idle_s, 0.5),
        "idle_p99_s": quantile(idle_s, 0.99),
        "attacked_p50_s": quantile(attacked_s, 0.5),
        "attacked_p99_s": quantile(attacked_s, 0.99),
        "p99_ratio": quantile(attacked_s, 0.99) / quantile(idle_s, 0.99),
    }


async def measure_announces(port: int) -> dict[str, float]:
    """1000 nodes within a second, beside 200 streams."""
    streams = []
    for _ in range(STREAMS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("GET", "/api/v1/events?kinds=publication", KEY.node_token()))
        await reader.readuntil(b"event: open\n")
        streams.append(writer)
    messages = [
        request("POST", "/api/v1/announce", KEY.node_token(), announce_of(number), close=True)
        for number in range(AGENTS)
    ]
    times_s = await paced(port, messages, 1.0 / AGENTS)
    for writer in streams:
        writer.close()
    return {"announce_p50_s": quantile(times_s, 0.5), "announce_p99_s": quantile(times_s, 0.99)}


def run(options: argparse.Namespace) -> dict[str, float]:
    """Both measurements, each at a service of its own."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as (processes, port):
        figures = measure_slow_heads(port, processes, options)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as (_, port):
        return figures | asyncio.run(measure_announces(port))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each stretch")
    parser.add_argument("--slow", type=int, default=500, help="connections of the attacker")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--attack", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.attack:
        asyncio.run(slow_heads(options.attack, options.slow))
        return
    figures = run(options)
    if options.json:
        print(json.dumps({"type": "result", **figures}))
        return
    for name, value in figures.items():
        shown = f"{value:8.2f}" if name.endswith("ratio") else f"{1000 * value:8.2f} ms"
        print(f"{name:16} {shown}")


if __name__ == "__main__":
    main()
