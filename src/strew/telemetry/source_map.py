"""Where the chunks that are here came from, as a row of the map of chunks tells it."""

from __future__ import annotations

from strew.telemetry.cells import columns_of
from strew.telemetry.protocol import Source


class SourceMap:
    """A source for each of `chunk_count` chunks; missing ones have none.

    Its digits are asked for each second while a transfer runs: only columns of which a chunk came
    since are counted again.
    """

    def __init__(self, chunk_count: int) -> None:
        self._of_chunk = bytearray(chunk_count)
        self._columns = columns_of(chunk_count)
        self._of_column = bytearray(self._columns)
        self._changed: set[int] = set()

    def __len__(self) -> int:
        return len(self._of_chunk)

    def __getitem__(self, index: int) -> int:
        return self._of_chunk[index]

    def __setitem__(self, index: int, source: Source) -> None:
        self._of_chunk[index] = source
        self._changed.add(((index + 1) * self._columns - 1) // len(self._of_chunk))

    def digits(self) -> str:
        """A digit for each column: which source most of its chunks came from."""
        count, columns = len(self._of_chunk), self._columns
        for column in self._changed:
            among = self._of_chunk[column * count // columns : (column + 1) * count // columns]
            self._of_column[column] = max(range(1, len(Source)), key=among.count)
        self._changed.clear()
        return "".join(map(str, self._of_column))
