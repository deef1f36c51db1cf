"""What the store keeps, and what may go."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from strew.content.digest import ArtifactId
from strew.errors import DiskError
from strew.store import parts
from strew.store.folders import kind_at, remove
from strew.store.index import Index, Row
from strew.store.posix import disk_error
from strew.store.shelf import ManifestShelf


def choose(
    rows: Sequence[Row], limit_bytes: int | None, *, is_busy: Callable[[ArtifactId], bool]
) -> list[Row]:
    """Which artifacts `gc` lets go: the vanished, then held ones, oldest unpinned first.

    `rows` come oldest first. Held ones go until the rest fits into `limit_bytes`.
    """
    going = [row for row in rows if _vanished(row) and not is_busy(row.artifact)]
    gone = {row.artifact for row in going}
    if limit_bytes is None:
        return going
    held = [row for row in rows if row.kind == "held" and row.artifact not in gone]
    held_bytes = sum(row.size_bytes for row in held)
    for row in held:
        if held_bytes <= limit_bytes:
            break
        if not row.pinned and not is_busy(row.artifact):
            going.append(row)
            held_bytes -= row.size_bytes
    return going


def tidy(index: Index, shelf: ManifestShelf, held_folder: Path) -> list[DiskError]:
    """Forget what vanished, and remove what nobody knows of; run when a store opens and by gc.

    What lies beside an output and cannot be removed is left for the next time, and told: that
    folder is not strew's own.
    """
    troubles = []
    rows = index.all()
    for row in rows:
        if row.state == "complete" and _vanished(row):
            index.delete(row.artifact)
        elif row.state == "complete" or _vanished(row):
            # The old version, and spent claims: left by a kill between the swap and their removal;
            # after a power loss the index may not know of the swap.
            try:
                parts.remove_part(row.root, row.artifact)
            except DiskError as error:
                troubles.append(error)
    known = {row.artifact.removeprefix("blake3:") for row in index.all()}
    try:
        for name in os.listdir(held_folder):
            if name not in known:
                remove(str(held_folder / name))
    except OSError as error:
        raise disk_error(error, "tidy", held_folder) from None
    shelf.keep_only(known)
    return troubles


def remove_held(held_folder: Path, artifact: ArtifactId) -> None:
    """Delete a held artifact's bytes."""
    path = str(held_folder / artifact.removeprefix("blake3:"))
    try:
        remove(path)
    except OSError as error:
        raise disk_error(error, "remove", path) from None


def _vanished(row: Row) -> bool:
    path = row.root if row.state == "complete" else parts.part_path(row.root, row.artifact)
    return kind_at(path) != ("dir" if row.is_tree else "file")
