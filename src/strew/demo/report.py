"""The table of a demo, and the words that explain it."""

from collections.abc import Sequence

from strew.agent.quantity import format_duration, format_size
from strew.demo.measure import Result
from strew.demo.strategies import Strategy, servers_of
from strew.demo.trial import Terms

Row = tuple[str, ...]

HEAD: Row = (
    "strategy",
    "first",
    "median",
    "last",
    "last/bound",
    "origin sent",
    "duplicates",
    "CPU s/GiB",
    "memory",
    "verified",
)

NUMBERS = frozenset(range(1, len(HEAD)))
"""Columns of numbers, to be aligned right."""

UNKNOWN = "-"


def rows(results: Sequence[Result]) -> list[Row]:
    """The table, its head first."""
    return [HEAD, *(_row(result) for result in results)]


def _row(result: Result) -> Row:
    ratio, duplicates = result.ratio_to_bound, result.duplicate_ratio
    return (
        result.strategy,
        format_duration(result.seconds_first),
        format_duration(result.seconds_median),
        format_duration(result.seconds_last),
        UNKNOWN if ratio is None else f"{ratio:.3f}",
        f"{result.origin_sent_ratio:.2f} F",
        UNKNOWN if duplicates is None else f"{100 * duplicates:.2f} %",
        f"{result.cpu_s_per_gib:.2f}",
        format_size(result.rss_peak_bytes),
        f"{result.verified} of {result.nodes}",
    )


def against(result: Result) -> list[str]:
    """What the times are to be measured by; nothing where links have no limit."""
    if result.line_seconds is None or result.bound_seconds is None:
        return ["no rate, no bound: --rate 25M limits every link"]
    nodes = result.nodes
    return [
        f"one node alone       F/B                        {format_duration(result.line_seconds)}",
        f"bound for {nodes:<3} nodes  F/B (1 + floor(log2 N)/M)  "
        f"{format_duration(result.bound_seconds)}   with M = {result.chunks} chunks",
        f"one server alone     N F/B                      "
        f"{format_duration(nodes * result.line_seconds)}",
    ]


def meaning(strategy: Strategy, terms: Terms) -> str:
    """What was done, in one line."""
    nodes = terms.nodes
    servers = servers_of(strategy, nodes, terms.servers)
    words: dict[Strategy, str] = {
        "single": "all nodes fetch from the origin and pass nothing on",
        "replicated": f"{servers} nodes are filled first, from the origin; then the other "
        f"{nodes - servers} fetch from these and the origin, each from one",
        "sharded": f"the origin fills {servers} nodes with one part of {servers} each; then every "
        "node fetches every part from the one that has it",
        "scatter": f"the origin gives each node another part of {nodes}; only when all have "
        "theirs, they exchange them",
        "swarm": "nodes follow the name; chunks are passed on as they come",
    }
    return f"{strategy}: {words[strategy]}"


FILLING = (
    "Times count from the moment nodes may fetch, filling included. The origin has the file, and "
    "all parts of it, before; a node is done when it has every part."
)
