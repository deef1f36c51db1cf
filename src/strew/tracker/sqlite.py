"""StateStore in one SQLite file: the embedded default.

Names and versions are on disk when `apply` returns (WAL with synchronous=FULL), so a version
floor never falls; so are manifests. Facts and names are also kept in memory, where every announce
reads them; manifests are read from disk when asked for.
"""

import sqlite3
from pathlib import Path
from typing import Final

import msgspec

from strew.announce.records import ArtifactFacts
from strew.content.digest import ArtifactId, artifact_id_of
from strew.errors import ConfigurationError, DiskError
from strew.publication import Publication
from strew.tracker.state import MemoryState

SCHEMA_VERSION = 1
APPLICATION_ID: Final = 0x73747277
"""Written into the file's header, so that no other program's database is taken for ours."""

LOCK_WAIT_S = 1.0
"""How long to wait for another tracker to let go of the file, e.g. one that is just ending."""

_SCHEMA = """
CREATE TABLE manifests (
    artifact TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    is_tree INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    chunk_count INTEGER NOT NULL,
    added_s REAL NOT NULL,
    raw BLOB NOT NULL
);
CREATE TABLE publications (
    reference TEXT PRIMARY KEY,
    version INTEGER NOT NULL UNIQUE,
    message BLOB NOT NULL
);
CREATE TABLE floor (version INTEGER NOT NULL);
INSERT INTO floor VALUES (0);
"""


class SqliteState(MemoryState):
    """MemoryState that writes its catalogue through to `path` and begins with what is there.

    Raises DiskError if the file cannot be opened or is damaged, or if another tracker has it;
    ConfigurationError if a newer strew or another program wrote it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        try:
            self._database = sqlite3.connect(
                path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self._failure(error) from error
        try:
            self._open()
            self._load()
        except sqlite3.Error as error:
            self._database.close()
            raise self._failure(error) from error
        except BaseException:
            self._database.close()
            raise

    def manifest(self, artifact: ArtifactId) -> bytes | None:
        """As RegistryView.manifest. DiskError if the file gives other bytes than were stored."""
        if artifact not in self._facts:
            return None
        try:
            row = self._database.execute(
                "SELECT raw FROM manifests WHERE artifact = ?", (artifact,)
            ).fetchone()
        except sqlite3.Error as error:
            raise self._failure(error) from error
        raw = bytes(row[0]) if row is not None else b""
        if artifact_id_of(raw) != artifact:
            raise DiskError(
                f"{self._path}: the stored manifest of {artifact} is damaged",
                hint="push the artifact again after moving the file away",
            )
        return raw

    def close(self) -> None:
        """As StateStore.close; folds the log into the file."""
        with self._catalogue_lock:
            self._database.close()

    def _keep_manifest(self, facts: ArtifactFacts, raw: bytes) -> None:
        row = (
            facts.artifact,
            facts.name,
            facts.is_tree,
            facts.size_bytes,
            facts.chunk_count,
            facts.added_s,
            raw,
        )
        self._write([("INSERT INTO manifests VALUES (?, ?, ?, ?, ?, ?, ?)", row)])

    def _keep_publications(self, publications: list[Publication]) -> None:
        statements: list[tuple[str, tuple[object, ...]]] = [
            (
                "INSERT OR REPLACE INTO publications VALUES (?, ?, ?)",
                (p.reference, p.version, msgspec.json.encode(p)),
            )
            for p in publications
        ]
        floor = max(p.version for p in publications)
        self._write([*statements, ("UPDATE floor SET version = ?", (floor,))])

    def _forget_manifests(self, artifacts: list[ArtifactId]) -> None:
        self._write([("DELETE FROM manifests WHERE artifact = ?", (a,)) for a in artifacts])

    def _write(self, statements: list[tuple[str, tuple[object, ...]]]) -> None:
        """All statements in one transaction, or none. DiskError."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                for statement, values in statements:
                    self._database.execute(statement, values)
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _open(self) -> None:
        """Take the file for this process alone, and make its tables if it is new."""
        run = self._database.execute
        run("PRAGMA locking_mode=EXCLUSIVE")
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=FULL")
        run("PRAGMA trusted_schema=OFF")
        run("BEGIN IMMEDIATE")
        version = int(run("PRAGMA user_version").fetchone()[0])
        application = int(run("PRAGMA application_id").fetchone()[0])
        tables = int(run("SELECT count(*) FROM sqlite_master").fetchone()[0])
        if version == 0 and application == 0 and tables == 0:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                run(statement)
            run(f"PRAGMA application_id={APPLICATION_ID}")
            run(f"PRAGMA user_version={SCHEMA_VERSION}")
        elif application != APPLICATION_ID:
            raise ConfigurationError(
                f"{self._path} is not a tracker's state file", hint="name another --data folder"
            )
        elif version > SCHEMA_VERSION:
            raise ConfigurationError(
                f"{self._path} has state version {version}; this strew knows {SCHEMA_VERSION}",
                hint="use the newer strew that wrote it",
            )
        run("COMMIT")

    def _load(self) -> None:
        rows = self._database.execute(
            "SELECT artifact, name, is_tree, size_bytes, chunk_count, length(raw), added_s"
            " FROM manifests ORDER BY added_s, rowid"
        )
        for artifact, name, is_tree, size_bytes, chunk_count, manifest_bytes, added_s in rows:
            self._facts[artifact] = ArtifactFacts(
                artifact, name, bool(is_tree), size_bytes, chunk_count, manifest_bytes, added_s
            )
        for (message,) in self._database.execute(
            "SELECT message FROM publications ORDER BY version"
        ):
            try:
                self._name(msgspec.json.decode(message, type=Publication))
            except msgspec.DecodeError as error:
                raise DiskError(
                    f"{self._path}: a stored name is damaged: {error}",
                    hint="move the file away and push again",
                ) from error
        row = self._database.execute("SELECT version FROM floor").fetchone()
        self._last_version = max(self._last_version, int(row[0]) if row else 0)

    def _failure(self, error: sqlite3.Error) -> DiskError:
        text = str(error)
        if "locked" in text:
            return DiskError(
                f"{self._path} is in use by another tracker",
                hint="stop it, or give this one another --data folder",
            )
        if isinstance(error, sqlite3.OperationalError):
            return DiskError(f"{self._path}: {text}", hint="check the disk and its permissions")
        return DiskError(
            f"{self._path}: {text}", hint="the file is damaged: move it away and push again"
        )
