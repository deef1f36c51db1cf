"""Whether links carry what they promise."""

from pathlib import Path

import pytest

from strew.lab import links
from strew.lab.links import LinkCheck, LinksCheck, check_links
from strew.lab.terms import Terms, goodput
from tests.lab.root import needs_root


@needs_root
async def test_every_link_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "FOR_S", 2)
    monkeypatch.setattr(links, "SETTLE_S", 0)
    found = await check_links(Terms(nodes=1, rate_bytes_per_s=2_500_000), tmp_path)
    assert [(link.source, link.target) for link in found.links] == [(0, 1), (1, 0)]
    for link in found.links:
        assert link.promised_bytes_per_s == goodput(2_500_000)
        assert link.ratio == pytest.approx(1.0, abs=0.35)  # in 2 s what is under way counts


def test_the_worst_is_the_farthest_from_what_is_promised() -> None:
    made = [
        LinkCheck(source=0, target=1, goodput_bytes_per_s=1, promised_bytes_per_s=1, ratio=ratio)
        for ratio in (0.99, 1.05, 0.97, None)
    ]
    assert LinksCheck(links=tuple(made), dropped_packets=0).worst == 1.05
    assert LinksCheck(links=tuple(made[3:]), dropped_packets=0).worst is None
