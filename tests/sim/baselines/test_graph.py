"""Random regular graphs: everybody has as many neighbours, and reaches everybody."""

import random

import pytest

from strew.sim.baselines.graph import random_regular


@pytest.mark.parametrize(("nodes", "degree"), [(12, 10), (13, 4), (50, 10), (101, 40), (400, 10)])
def test_degrees_are_equal_and_edges_go_both_ways(nodes: int, degree: int) -> None:
    for seed in range(10):
        graph = random_regular(random.Random(seed), nodes, degree)
        lacking = sum(degree - len(neighbours) for neighbours in graph)
        assert 0 <= lacking <= 4
        for node, neighbours in enumerate(graph):
            assert node not in neighbours
            assert neighbours == sorted(set(neighbours))
            assert all(node in graph[other] for other in neighbours)


def test_it_is_connected() -> None:
    graph = random_regular(random.Random(5), 500, 10)
    reached, edge = {0}, [0]
    while edge:
        edge = [other for node in edge for other in graph[node] if other not in reached]
        edge = sorted(set(edge))
        reached.update(edge)
    assert len(reached) == 500


def test_few_nodes_know_all_others() -> None:
    assert random_regular(random.Random(5), 4, 10) == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_the_same_dice_give_the_same_graph() -> None:
    assert random_regular(random.Random(5), 60, 6) == random_regular(random.Random(5), 60, 6)
