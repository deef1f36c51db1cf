"""All that can take part, by name."""

from __future__ import annotations

from strew.lab.contender import Contender
from strew.lab.rivals import RIVALS
from strew.lab.strew_contender import Strew

OURS = (
    Strew(),
    Strew("trackerless", "nowhere"),
    Strew("beside", "beside"),
    Strew("orphaned", "beside", tracker_dies=True),
)
"""strew with a tracker as usual, and in ways to compare it with: no tracker anywhere; a tracker
beside the origin; and the same, killed at 30 % of F/B."""

CONTENDERS: dict[str, Contender] = {entry.name: entry for entry in (*OURS, *RIVALS)}
"""strew first, then its rivals in the order of the table."""

DEFAULT = (OURS[0].name, *(rival.name for rival in RIVALS))
"""Who `all` are."""
