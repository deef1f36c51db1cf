"""How much a node doubts itself."""

from strew.gossip.health import HEALTH_MAX, Health


def test_the_score_stays_between_well_and_worst() -> None:
    health = Health()
    health.better()
    assert (health.score, health.slowness) == (0, 1)
    for _ in range(HEALTH_MAX + 5):
        health.worsen()
    assert (health.score, health.slowness) == (HEALTH_MAX, HEALTH_MAX + 1)
    health.better()
    assert health.score == HEALTH_MAX - 1
