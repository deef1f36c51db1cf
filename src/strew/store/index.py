"""The store's memory in SQLite: which artifacts, where they lie, which chunks they hold.

It is rebuilt by publishing and fetching, so WAL with synchronous=NORMAL is enough: a power loss may
forget the last commits (the artifact is then found again at its target), never damage the file.
That a download was begun is flushed, though: a `.part` that nobody knows of would stay for ever.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from strew.content.digest import ARTIFACT_ID_PREFIX, ArtifactId
from strew.content.manifest import Manifest
from strew.errors import DiskError
from strew.store.store import Kind, State

STATE_FILE = "index.sqlite"
HELD_FOLDER = "held"
"""Beside the state file."""

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x73747265  # "stre": tells our file from any other SQLite file

_BUSY_TIMEOUT_S = 5.0
"""The folder's lock keeps others out; only a person's sqlite3 shell could be in the way."""

_CACHE_KIB = 1024
"""Page cache; half of SQLite's default, because nodes have little memory."""

_FIND_AT_ONCE = 500
"""Digests per query; below SQLite's limit of variables on old versions (999)."""

_SCHEMA = f"""
CREATE TABLE artifacts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    artifact TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    is_tree INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    chunk_count INTEGER NOT NULL,
    state TEXT NOT NULL,
    kind TEXT NOT NULL,
    root BLOB NOT NULL,
    pinned INTEGER NOT NULL,
    added_unix_s REAL NOT NULL,
    signatures BLOB NOT NULL,
    lost BLOB NOT NULL
);
CREATE INDEX artifacts_root ON artifacts (root);
CREATE TABLE chunks (
    prefix INTEGER NOT NULL,
    number INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    PRIMARY KEY (prefix, number, chunk)
) WITHOUT ROWID;
CREATE INDEX chunks_number ON chunks (number);
PRAGMA user_version = {SCHEMA_VERSION};
PRAGMA application_id = {_APPLICATION_ID};
"""

_COLUMNS = (
    "artifact, name, is_tree, size_bytes, chunk_count, state, kind, root, pinned, added_unix_s"
)


class Row(msgspec.Struct, frozen=True):
    """One artifact. `root`: absolute path of the finished file or folder. What the store itself
    holds lies below the store's folder, wherever that was moved or restored to since."""

    artifact: ArtifactId
    name: str
    is_tree: bool
    size_bytes: int
    chunk_count: int
    state: State
    kind: Kind
    root: str
    pinned: bool
    added_unix_s: float


class Index:
    """The open state file; thread-safe. Every failure of SQLite is a DiskError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held_folder = path.parent / HELD_FOLDER
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(
                path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self._error(error) from None
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._db.close()
            raise self._error(error) from None
        except DiskError:
            self._db.close()
            raise

    def save(self, row: Row, *, signatures: bytes = b"", lost: bytes = b"") -> None:
        """Insert or replace what is known of an artifact; its age and chunk rows stay."""
        if row.state == "partial":
            self._run("PRAGMA synchronous=FULL")
        try:
            self._save(row, signatures, lost)
        finally:
            self._run("PRAGMA synchronous=NORMAL")

    def _save(self, row: Row, signatures: bytes, lost: bytes) -> None:
        self._run(
            f"""INSERT INTO artifacts ({_COLUMNS}, signatures, lost)
            VALUES (?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (artifact) DO UPDATE SET
            state=excluded.state, kind=excluded.kind, root=excluded.root, pinned=excluded.pinned,
            signatures=excluded.signatures, lost=excluded.lost""",
            (
                row.artifact,
                row.name,
                row.is_tree,
                row.size_bytes,
                row.chunk_count,
                row.state,
                row.kind,
                os.fsencode(row.root),
                row.pinned,
                row.added_unix_s,
                signatures,
                lost,
            ),
        )

    def get(self, artifact: ArtifactId) -> Row | None:
        """What is known of one artifact."""
        rows = self._run(f"SELECT {_COLUMNS} FROM artifacts WHERE artifact=?", (artifact,))
        return _row(rows[0], self._held_folder) if rows else None

    def all(self) -> list[Row]:
        """All artifacts, oldest first."""
        rows = self._run(f"SELECT {_COLUMNS} FROM artifacts ORDER BY added_unix_s, number")
        return [_row(row, self._held_folder) for row in rows]

    def rooted_at(self, root: str) -> list[Row]:
        """Artifacts whose place is that path."""
        rows = self._run(
            f"SELECT {_COLUMNS} FROM artifacts WHERE root=? ORDER BY number", (os.fsencode(root),)
        )
        return [_row(row, self._held_folder) for row in rows]

    def marks(self, artifact: ArtifactId) -> tuple[bytes, bytes]:
        """Signatures of the files, and the bitfield of lost chunks in wire form ('' if none)."""
        rows = self._run("SELECT signatures, lost FROM artifacts WHERE artifact=?", (artifact,))
        return (rows[0][0], rows[0][1]) if rows else (b"", b"")

    def save_marks(self, artifact: ArtifactId, signatures: bytes, lost: bytes) -> None:
        """Replace what `marks` gives."""
        self._run(
            "UPDATE artifacts SET signatures=?, lost=? WHERE artifact=?",
            (signatures, lost, artifact),
        )

    def set_pinned(self, artifact: ArtifactId, pinned: bool) -> None:
        """Protect from eviction, or not."""
        self._run("UPDATE artifacts SET pinned=? WHERE artifact=?", (pinned, artifact))

    def set_root(self, artifact: ArtifactId, root: str) -> None:
        """Note that it lies elsewhere."""
        self._run("UPDATE artifacts SET root=? WHERE artifact=?", (os.fsencode(root), artifact))

    def delete(self, artifact: ArtifactId) -> None:
        """Forget an artifact and its chunks."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.execute(
                    "DELETE FROM chunks WHERE number="
                    "(SELECT number FROM artifacts WHERE artifact=?)",
                    (artifact,),
                )
                self._db.execute("DELETE FROM artifacts WHERE artifact=?", (artifact,))
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                raise self._error(error) from None

    def add_chunks(self, manifest: Manifest) -> None:
        """Make a complete artifact's chunks findable by digest."""
        with self._lock:
            try:
                number = self._db.execute(
                    "SELECT number FROM artifacts WHERE artifact=?", (manifest.id,)
                ).fetchone()[0]
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(
                    "INSERT OR IGNORE INTO chunks VALUES (?,?,?)",
                    ((prefix_of(d), number, i) for i, d in enumerate(manifest.digests())),
                )
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                raise self._error(error) from None

    def find(self, prefixes: Sequence[int]) -> Iterable[tuple[int, ArtifactId, int]]:
        """(prefix, artifact, chunk index) of complete artifacts' chunks, in batches.

        A prefix is 8 bytes of the digest: whoever copies a chunk verifies all 32.
        """
        for start in range(0, len(prefixes), _FIND_AT_ONCE):
            batch = prefixes[start : start + _FIND_AT_ONCE]
            marks = ",".join("?" * len(batch))
            yield from self._run(
                f"""SELECT prefix, artifact, chunk FROM chunks JOIN artifacts USING (number)
                WHERE prefix IN ({marks}) AND state='complete' ORDER BY number, chunk""",
                batch,
            )

    def close(self) -> None:
        """Close the file; folds the log into it."""
        with self._lock:
            self._db.close()

    def _prepare(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise DiskError(
                f"state file {str(self._path)!r} is from a newer strew (format {version})",
                hint="update strew, or use another --data folder",
            )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        if version == 0:
            if self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise sqlite3.DatabaseError("not a state file of strew")
            self._db.executescript(f"BEGIN;{_SCHEMA}COMMIT;")
        elif self._db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
            raise sqlite3.DatabaseError("not a state file of strew")
        pages = self._db.execute("PRAGMA page_count").fetchone()[0]
        page_bytes = self._db.execute("PRAGMA page_size").fetchone()[0]
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if self._path.stat().st_size < pages * page_bytes:
            raise sqlite3.DatabaseError("it is cut off")
        self._db.execute("SELECT artifact FROM artifacts").fetchall()

    def _run(self, statement: str, values: Sequence[object] = ()) -> list[tuple]:  # type: ignore[type-arg]
        with self._lock:
            try:
                return self._db.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise self._error(error) from None

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _error(self, error: sqlite3.Error) -> DiskError:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")):
            return DiskError(
                f"cannot use state file {str(self._path)!r}: {error}",
                hint="check space and permissions of its folder",
            )
        return DiskError(
            f"state file {str(self._path)!r} is damaged: {error}",
            hint="move it away: what is complete is found again when it is asked for",
        )


def held_path(held_folder: Path, artifact: ArtifactId, name: str) -> Path:
    """Where the store keeps an artifact that is not installed anywhere."""
    return held_folder / artifact.removeprefix(ARTIFACT_ID_PREFIX) / name


def rows_of(connection: sqlite3.Connection, folder: Path) -> list[Row]:
    """All artifacts of the state file in `folder`, which somebody opened to read, oldest first;
    sqlite3.Error."""
    query = f"SELECT {_COLUMNS} FROM artifacts ORDER BY added_unix_s, number"
    return [_row(row, folder / HELD_FOLDER) for row in connection.execute(query)]


def prefix_of(digest: bytes) -> int:
    """The first 8 bytes of a digest as SQLite's signed integer."""
    return int.from_bytes(digest[:8], "little", signed=True)


def _row(values: tuple, held_folder: Path) -> Row:  # type: ignore[type-arg]
    artifact, root = ArtifactId(values[0]), os.fsdecode(values[7])
    if values[6] == "held":
        root = str(held_path(held_folder, artifact, os.path.basename(root)))
    return Row(
        artifact=artifact,
        name=values[1],
        is_tree=bool(values[2]),
        size_bytes=values[3],
        chunk_count=values[4],
        state=values[5],
        kind=values[6],
        root=root,
        pinned=bool(values[8]),
        added_unix_s=values[9],
    )
