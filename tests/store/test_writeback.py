"""Writing out early: what was written is on its way to the disk before anyone asks for it."""

import os
from pathlib import Path

from strew.store.pool import FilePool
from strew.store.writeback import QUEUE_MAX, STEP_BYTES, Writeback


def test_starts_are_carried_out_and_descriptors_given_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x" * 100_000)
    before = len(os.listdir("/proc/self/fd"))
    writeback = Writeback()
    for _ in range(3 * QUEUE_MAX):
        writeback.start(fd)
    writeback.close()
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(fd)


def test_a_file_that_cannot_be_written_out_disturbs_nobody() -> None:
    read_end, write_end = os.pipe()
    writeback = Writeback()
    writeback.start(write_end)  # sync_file_range refuses pipes
    writeback.close()
    os.close(read_end)
    os.close(write_end)


def test_the_pool_starts_once_a_step(tmp_path: Path) -> None:
    pool = FilePool()
    path = tmp_path / "file"
    file = pool.acquire(1, "f", lambda: os.open(path, os.O_RDWR | os.O_CREAT))
    pool.wrote(file, STEP_BYTES - 1)
    assert file.unwritten_bytes == STEP_BYTES - 1
    pool.wrote(file, 1)
    assert file.unwritten_bytes == 0
    pool.release(file)
    pool.close()
