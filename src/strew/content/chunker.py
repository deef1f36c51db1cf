"""Where the cuts are: content-defined chunking (FastCDC).

Content-defined, so that the next version of a file shares most chunks with the last and machines
fetch only what changed. The parameters are pinned in every manifest: whoever cuts an old version
again with them finds the same chunks. Source: Xia et al., "The Design of Fast Content-Defined
Chunking for Data Deduplication Based Storage Systems", IEEE TPDS 31(9), 2020, sections 3.4 and 3.5.
"""

from collections.abc import Iterator
from typing import Protocol

import msgspec

AVERAGE_BYTES_MIN = 64 * 1024
"""Below this a chunk costs little but its frame, its digest and its system calls."""

AVERAGE_BYTES_MAX = 4 * 1024 * 1024
"""Above this one chunk in flight is too much memory and too much to lose; also FastCDC's limit."""

_MIB = 1024 * 1024

AVERAGE_BYTES_BY_SIZE = (
    (0, AVERAGE_BYTES_MIN),
    (128 * _MIB, 128 * 1024),
    (512 * _MIB, 256 * 1024),
    (1024 * _MIB, _MIB),
    (8 * 1024 * _MIB, 2 * _MIB),
    (16 * 1024 * _MIB, AVERAGE_BYTES_MAX),
)
"""The average for artifacts of so many bytes and more, each a power of two.

A swarm pipelines chunks: the last of 16 machines is 20 chunk times behind the origin, of a thousand
some 80. Many chunks keep that share of the time small where links are slow. Where they are quick it
is the processor that decides, and a chunk costs it some 0.3 ms beside its bytes, as much as 200 KiB
do. So there are 1024 averages and more from 128 MiB on, 2048 where 16 machines at 50 Mbit/s were
seen to lose by fewer; from 1 GiB on, which seldom travels over slow links, one has a MiB, and more
only where there are 4096 (decision 58). Larger averages: slow links end later; smaller ones: quick
links do, and slow ones whose processors are full."""

MAX_OVER_AVERAGE = 1.5
"""A chunk is passed on when it is whole, and a link without idle time never makes up for the
longest: the tail of a transfer is that one's time at each machine on the way down. Lower limits cut
more often where the content does not say so, and then more is new in the next version (1.25: a
quarter)."""

MIN_UNDER_AVERAGE = 4
NORMALIZATION = 3
"""Measured on random bytes with these three: mean 1.08 averages, deviation 0.2 averages."""

CHUNK_BYTES_MAX = AVERAGE_BYTES_MAX * 2
"""No chunk of any artifact is longer (8 MiB), however it was cut: bounds receive buffers."""

_CUT_MIN_BYTES = 64
_NORMALIZATION_MAX = 3


class ByteStream(Protocol):
    """What `cut` reads from: puts bytes into the buffer, returns how many, 0 at the end."""

    def readinto(self, buffer: memoryview, /) -> int: ...


class ChunkerParams(msgspec.Struct, frozen=True, gc=False):
    """FastCDC's parameters. `normalization` is the NC level of section 3.5, 0 to 3."""

    average_bytes: int
    min_bytes: int
    max_bytes: int
    normalization: int

    def broken_rule(self) -> str:
        """Name the rule these parameters break, or return an empty text."""
        average_bytes = self.average_bytes
        if not AVERAGE_BYTES_MIN <= average_bytes <= AVERAGE_BYTES_MAX:
            return f"average chunk size must be {AVERAGE_BYTES_MIN} to {AVERAGE_BYTES_MAX} bytes"
        if average_bytes & (average_bytes - 1):
            return "average chunk size must be a power of two"
        if not _CUT_MIN_BYTES <= self.min_bytes <= average_bytes // MIN_UNDER_AVERAGE:
            return "smallest chunk size must be 64 bytes to a quarter of the average"
        if not average_bytes <= self.max_bytes <= CHUNK_BYTES_MAX:
            return f"largest chunk size must be the average to {CHUNK_BYTES_MAX} bytes"
        if not 0 <= self.normalization <= _NORMALIZATION_MAX:
            return "normalization must be 0 to 3"
        return ""


def params_for(size_bytes: int) -> ChunkerParams:
    """Choose parameters for an artifact of `size_bytes`, by `AVERAGE_BYTES_BY_SIZE`."""
    assert size_bytes >= 0, size_bytes
    average_bytes = max(average for least, average in AVERAGE_BYTES_BY_SIZE if least <= size_bytes)
    return ChunkerParams(
        average_bytes=average_bytes,
        min_bytes=average_bytes // MIN_UNDER_AVERAGE,
        max_bytes=int(average_bytes * MAX_OVER_AVERAGE),
        normalization=NORMALIZATION,
    )


def cut(stream: ByteStream, params: ChunkerParams) -> Iterator[tuple[int, memoryview]]:
    """Yield (offset in bytes, bytes) of each chunk of `stream`, in order, without gaps.

    A yielded view is valid only until the next one is asked for: hash or copy it at once. Memory
    stays at about two times `params.max_bytes`. Errors of `stream` pass through.
    """
    # Imported here: a node that only fetches never cuts, and its start should not pay for it.
    from pyfastcdc.cy import FastCDC

    cutter = FastCDC(
        avg_size=params.average_bytes,
        min_size=params.min_bytes,
        max_size=params.max_bytes,
        normalized_chunking=params.normalization,
    )
    for chunk in cutter.cut_stream(stream):
        yield chunk.offset, chunk.data
