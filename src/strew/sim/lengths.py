"""Lengths: how long the chunks of a simulated file are, spread as the chunker spreads them.

On random bytes FastCDC (Xia et al., IEEE TPDS 2020, section 3.5) looks for a cut from the least
length on, at each byte with the same chance, and with a greater one from the average on, until the
greatest length.
"""

from __future__ import annotations

import random

from strew.content.chunker import MAX_OVER_AVERAGE, MIN_UNDER_AVERAGE, NORMALIZATION

RARER = 2.0**NORMALIZATION
"""Before the average length a cut is so many times rarer than once in an average; after it, so many
times more frequent."""


def chunk_lengths(size_bytes: int, chunks: int, dice: random.Random) -> list[int]:
    """Lengths in bytes that add up to the size."""
    weights = [_length(dice) for _ in range(chunks)]
    scale = size_bytes / sum(weights)
    lengths = [max(1, int(weight * scale)) for weight in weights]
    lengths[-1] += size_bytes - sum(lengths)
    return lengths


def _length(dice: random.Random) -> float:
    """One length, in averages."""
    length = 1.0 / MIN_UNDER_AVERAGE + dice.expovariate(1.0 / RARER)
    if length > 1.0:
        length = 1.0 + dice.expovariate(RARER)
    return min(length, MAX_OVER_AVERAGE)
