"""Making a complete download appear: dress, flush, swap, sign."""

import contextlib
import os

from strew.errors import DiskError, UsageError
from strew.store import parts, shape
from strew.store.copy import LocalCopy
from strew.store.posix import disk_error


def install(copy: LocalCopy) -> None:
    """Bring a partial copy to its place, or end the repair of one that is there.

    Afterwards it is `complete` and signed. DiskError; after a failed flush nothing is taken for
    written any more (the kernel marks pages clean although they never reached the disk: Rebello et
    al., "Can Applications Recover from fsync Failures?", ATC 2020): all is read back and hashed.
    """
    manifest, placement = copy.manifest, copy.placement
    partial = copy.phase == "partial"
    doing = "write"
    try:
        shape.dress(placement, manifest)
        doing = "flush"
        shape.flush(placement, manifest)
        doing = "put in place"
        # Descriptors open for writing would keep a program from being run ("text file busy").
        placement.close_files()
        if partial:
            placement.move(lambda: parts.swap_in(copy.root, copy.artifact), copy.root)
        copy.signatures = placement.signatures(manifest)
    except OSError as error:
        if doing == "flush":
            _distrust(copy)
        raise disk_error(error, doing, copy.root) from None
    copy.phase = "complete"
    if copy.former is not None:
        copy.former.close()
        copy.former = None
    copy.close()
    copy.hold_manifest(False)


def materialise(source: LocalCopy, twin: LocalCopy) -> None:
    """Fill a partial copy of the same artifact; UsageError if the source has lost chunks."""
    for index in source.have:
        try:
            twin.put_verified(index, memoryview(source.read(index)))
        except DiskError:
            twin.close()
            raise
    if not twin.have.complete:
        raise UsageError(
            f"{source.artifact} is damaged at {source.root!r}", hint="strew verify --repair"
        )


def _distrust(copy: LocalCopy) -> None:
    """Drop what is cached of the files and hash everything from the disk; what is lost can be
    written again."""
    manifest, placement = copy.manifest, copy.placement
    with contextlib.suppress(OSError):  # writing tells, if it cannot be
        shape.undress(placement, manifest)
    for index, entry in enumerate(manifest.entries):
        if entry.kind != "file":
            continue
        try:
            file = placement.acquire(manifest, index)
        except OSError:
            continue  # its chunks fail the check below
        try:
            os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            placement.release(file)
    copy.recheck_all(list(copy.have))
