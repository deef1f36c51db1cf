"""All that can take part, by name."""

from __future__ import annotations

from strew.lab.contender import Contender
from strew.lab.rivals import RIVALS
from strew.lab.strew_contender import Strew

CONTENDERS: dict[str, Contender] = {entry.name: entry for entry in (Strew(), *RIVALS)}
"""strew first, then its rivals in the order of the table."""
