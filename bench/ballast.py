"""Keeps free memory of a virtual machine from going back to its host.

    python -m bench.ballast BYTES      (ends when its standard input does)

Such a kernel gives free blocks of 2 MiB back to the host within seconds (free page reporting), and
their next use costs the machine 3 s a GiB, on the account of whoever happens to write a file then.
So so much memory is touched, and all of it freed again but one page in each MiB: what is left free
is too much in pieces to be given away, and stays warm.
"""

import json
import mmap
import sys

SPACING_BYTES = 1 << 20
"""Half of a block that is given away: pages that are neighbours here are not quite so in memory."""


def hold(size_bytes: int) -> None:
    """Touch, free nearly all, say so, wait."""
    with mmap.mmap(-1, size_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        for at in range(0, size_bytes, mmap.PAGESIZE):
            memory[at] = 1
        rest_bytes = SPACING_BYTES - mmap.PAGESIZE
        for at in range(0, size_bytes, SPACING_BYTES):
            memory.madvise(mmap.MADV_DONTNEED, at + mmap.PAGESIZE, rest_bytes)
        print(json.dumps({"type": "warm"}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    hold(int(sys.argv[1]))
