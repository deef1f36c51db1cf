"""The tokens of one process on disk, and the admin token of whoever owns its data folder.

`tokens.json` is written whole, flushed, and renamed into place before any change is told of: a
join token that was used stays used after a kill or a power loss. It holds HMACs, no secrets.
`admin.token` holds the one secret this process keeps for its owner: made at the first start, mode
0600.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from strew.access.tokens import (
    ID_BYTES,
    SECRET_BYTES,
    Fault,
    Grant,
    Record,
    TokenRole,
    Tokens,
    id_of,
    is_token,
)
from strew.errors import ConfigurationError, DiskError, StrewError
from strew.store.posix import write_whole

TOKENS_FILE = "tokens.json"
ADMIN_FILE = "admin.token"

FORMAT_VERSION = 1

FILE_BYTES_MAX = 4 << 20
"""Ten times what TOKENS_MAX records take; more is another file."""


class Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file's form."""

    version: int
    tokens: tuple[Record, ...] = ()


_version_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_decoder = msgspec.json.Decoder(Saved)


class Vault:
    """Tokens kept in `folder`. Raises DiskError if the file cannot be read or written,
    ConfigurationError if a newer strew wrote it. Every change is on disk when its call returns."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._path = folder / TOKENS_FILE
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = Tokens(_load(self._path))

    def records(self) -> list[Record]:
        """All that are remembered, oldest first."""
        return self._tokens.records()

    def record(self, token_id: str) -> Record | None:
        """One, by its id."""
        return self._tokens.record(token_id)

    def now(self) -> float:
        """Unix seconds, as records have them."""
        return self._clock()

    def check(self, token: str) -> Grant | Fault:
        """What a bearer of this text may do."""
        return self._tokens.check(token, self._clock())

    def make(
        self, role: TokenRole, *, scope: str = "", life_s: float | None = None
    ) -> tuple[Record, str]:
        """A new token, see Tokens.make."""
        dice = secrets.token_bytes(ID_BYTES + SECRET_BYTES)
        with self._changing():
            return self._tokens.make(role, self._clock(), dice, scope=scope, life_s=life_s)

    def revoke(self, token_id: str) -> Record:
        """Make a token good for nothing, see Tokens.revoke."""
        with self._changing():
            return self._tokens.revoke(token_id, self._clock())

    def use(self, token_id: str, source: str) -> bool:
        """Use up a join token; False if it is good for nothing (any more)."""
        with self._changing():
            record = self._tokens.record(token_id)
            now = self._clock()
            if record is None or record.role != "join" or record.state(now) != "live":
                return False
            self._tokens.use(token_id, now, source)
            return True

    def own_admin_token(self) -> None:
        """Make the owner's admin token, unless `admin.token` has one that holds. A new one
        revokes the one that was lost."""
        path = self._folder / ADMIN_FILE
        token = read_token(path)
        if token is not None:
            grant = self.check(token)
            if isinstance(grant, Grant):
                return
            if self.record(id_of(token)) is not None:
                self.revoke(id_of(token))
        _, text = self.make("admin", life_s=0.0)
        _write(path, (text + "\n").encode())

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Whatever is changed inside is saved, or undone where that fails."""
        with self._lock:
            before = self._tokens.records()
            try:
                yield
                if self._tokens.records() != before:
                    saved = Saved(FORMAT_VERSION, tuple(self._tokens.records()))
                    _write(self._path, msgspec.json.encode(saved))
            except StrewError:
                self._tokens = Tokens(before)
                raise


def read_token(path: Path) -> str | None:
    """The token a file holds; None if there is none that can be read."""
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if is_token(text) else None


def _load(path: Path) -> tuple[Record, ...]:
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise DiskError(f"{path}: {error.strerror}", hint="check owner and permissions") from None
    try:
        version = msgspec.json.decode(_version_decoder.decode(raw)["version"], type=int)
        if version > FORMAT_VERSION:
            raise ConfigurationError(
                f"{path} has version {version}; this strew knows {FORMAT_VERSION}",
                hint="use the newer strew that wrote it",
            )
        return _decoder.decode(raw).tokens
    except (msgspec.DecodeError, KeyError, UnicodeDecodeError) as error:
        raise DiskError(
            f"{path} is damaged: {' '.join(str(error).split())}",
            hint="move it away: its tokens are then good for nothing, make new ones",
        ) from None


def _write(path: Path, content: bytes) -> None:
    """A private file, whole or as it was, also after a power loss. DiskError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, content, mode=0o600)
    except OSError as error:
        raise DiskError(
            f"cannot write {str(path)!r}: {error.strerror}",
            hint="tokens change only where they can be kept; make room, or check permissions",
        ) from None
