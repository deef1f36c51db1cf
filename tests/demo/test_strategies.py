"""Who is filled first, and with what."""

import pytest

from strew.demo.strategies import STRATEGIES, Strategy, parts_of, servers_of


@pytest.mark.parametrize(
    ("strategy", "servers", "parts"),
    [
        ("single", 0, 1),
        ("replicated", 3, 1),
        ("sharded", 3, 3),
        ("scatter", 8, 8),
        ("swarm", 0, 0),
    ],
)
def test_eight_nodes_and_three_servers(strategy: Strategy, servers: int, parts: int) -> None:
    assert (servers_of(strategy, 8, 3), parts_of(strategy, 8, 3)) == (servers, parts)


@pytest.mark.parametrize(("nodes", "servers"), [(1, 1), (2, 1), (3, 1), (5, 2), (6, 3), (60, 3)])
def test_at_most_half_of_the_nodes_are_servers(nodes: int, servers: int) -> None:
    assert servers_of("replicated", nodes, 3) == servers
    assert servers_of("sharded", nodes, 3) == parts_of("sharded", nodes, 3) == servers


def test_the_order_is_that_of_the_problem() -> None:
    assert STRATEGIES == ("single", "replicated", "sharded", "scatter", "swarm")
