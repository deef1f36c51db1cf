"""What a process must not forget of signed names, in one SQLite file of its data folder.

*Floors*: of each name the highest version that was taken, by whose signature. A floor is on disk
(WAL with synchronous=FULL) before the fetch it stands for begins, so that neither a kill nor a
power loss lets an older version in afterwards. *Envelopes*: the signatures over manifests, which
others may want to check with tools of their own.

Losing the file loses protection against old versions until each name is taken again, and no data.
Several processes may have it open: a running node, and commands that look.
"""

import sqlite3
import threading
from pathlib import Path
from typing import Any

import msgspec

from strew.content.digest import ArtifactId
from strew.errors import ConfigurationError, DiskError
from strew.publication import Signature, Signatures
from strew.trust.keys import KeyId
from strew.trust.policy import Floor

SIGNED_FILE = "signed.sqlite"
SCHEMA_VERSION = 1
_APPLICATION_ID = 0x73747274  # "strt": tells our file from any other SQLite file

LOCK_WAIT_S = 5.0
"""How long to wait for another process that writes: it holds the file for one flush."""

FLOORS_MAX = 100_000
"""Floors kept, some 200 bytes each; those of the lowest versions are forgotten first. Higher: more
memory; lower: names that were taken long ago could be turned back."""

_SCHEMA = f"""
CREATE TABLE floors (
    reference TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    artifact TEXT NOT NULL,
    PRIMARY KEY (reference, key)
) WITHOUT ROWID;
CREATE TABLE envelopes (artifact TEXT PRIMARY KEY, signatures BLOB NOT NULL);
PRAGMA user_version = {SCHEMA_VERSION};
PRAGMA application_id = {_APPLICATION_ID};
"""

_decoder: msgspec.msgpack.Decoder[tuple[Signature, ...]] = msgspec.msgpack.Decoder(Signatures)

_RAISE = """INSERT INTO floors VALUES (?, ?, ?, ?) ON CONFLICT (reference, key) DO UPDATE SET
    version = excluded.version, artifact = excluded.artifact
    WHERE (excluded.version, excluded.artifact) > (version, artifact)"""

_FORGET = """DELETE FROM floors WHERE (reference, key) IN (
    SELECT reference, key FROM floors ORDER BY version DESC LIMIT -1 OFFSET ?)"""


class SignedRecords:
    """The open file; thread-safe. Every failure of SQLite is a DiskError."""

    def __init__(self, folder: Path) -> None:
        """DiskError; ConfigurationError if a newer strew or another program wrote the file."""
        self._path = folder / SIGNED_FILE
        self._lock = threading.Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                self._path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise self._failure(error) from None
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._db.close()
            raise self._failure(error) from None
        except ConfigurationError:
            self._db.close()
            raise

    def floors(self) -> list[Floor]:
        """All floors."""
        rows = self._run("SELECT reference, key, version, artifact FROM floors")
        return [Floor(reference, KeyId(key), version, a) for reference, key, version, a in rows]

    def keep_floors(self, floors: list[Floor]) -> None:
        """They are on disk when this returns; one that is lower than what is there changes
        nothing."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    self._db.executemany(_RAISE, floors)
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise self._failure(error) from None

    def signatures(self, artifact: ArtifactId) -> tuple[Signature, ...]:
        """Those over an artifact's manifest; none if they are not here."""
        for (raw,) in self._run("SELECT signatures FROM envelopes WHERE artifact = ?", artifact):
            try:
                return _decoder.decode(raw)
            except msgspec.DecodeError:
                return ()  # it rotted; it can be had again
        return ()

    def keep_signatures(self, artifact: ArtifactId, signatures: tuple[Signature, ...]) -> None:
        """Keep those over an artifact's manifest, in place of earlier ones."""
        raw = msgspec.msgpack.encode(signatures)
        self._run("INSERT OR REPLACE INTO envelopes VALUES (?, ?)", artifact, raw)

    def close(self) -> None:
        """Nothing may be called afterwards."""
        with self._lock:
            self._db.close()

    def _prepare(self) -> None:
        run = self._db.execute
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=FULL")
        run("PRAGMA trusted_schema=OFF")
        run("BEGIN IMMEDIATE")
        version = int(run("PRAGMA user_version").fetchone()[0])
        application = int(run("PRAGMA application_id").fetchone()[0])
        tables = int(run("SELECT count(*) FROM sqlite_master").fetchone()[0])
        if (version, application, tables) == (0, 0, 0):
            for statement in filter(str.strip, _SCHEMA.split(";")):
                run(statement)
        elif application != _APPLICATION_ID or version > SCHEMA_VERSION:
            raise ConfigurationError(
                f"{self._path} is of a newer strew, or of another program",
                hint="use the strew that wrote it, or another --data folder",
            )
        run(_FORGET, (FLOORS_MAX,))
        run("COMMIT")

    def _run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return list(self._db.execute(statement, values))
            except sqlite3.Error as error:
                raise self._failure(error) from None

    def _failure(self, error: Exception) -> DiskError:
        hint = "check the disk and its permissions"
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, sqlite3.OperationalError
        ):
            hint = "the file is damaged: move it away; names are protected again once taken"
        return DiskError(f"{self._path}: {getattr(error, 'strerror', None) or error}", hint=hint)
