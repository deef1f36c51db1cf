"""The file of a data folder that says whom its process trusts: `trust.json`.

`strew key trust` and `strew key revoke` write it, a running process looks whether it changed. It
stands beside the setting `trust`: what either names is trusted, what the file revokes is not.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec

from strew.announce.reference import parse_pattern
from strew.errors import ConfigurationError, DiskError, UsageError
from strew.publication import KeyIdText
from strew.trust.keys import KeyId, PublicKey
from strew.trust.policy import EVERY_NAME, Anchor

TRUST_FILE = "trust.json"
LOCK_FILE = "trust.lock"

ANCHORS_MAX = 1024
"""Keys in one file: as many publishers as a large company has. Each name is checked against those
whose id its signatures bear, so more would cost only memory."""

FILE_BYTES_MAX = 1 << 20
"""An anchor has at most 400 bytes."""

FORM = 1
"""Version of the file's form."""


class _Trusted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    pattern: str = EVERY_NAME


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    form: int = FORM
    trusted: Annotated[tuple[_Trusted, ...], msgspec.Meta(max_length=ANCHORS_MAX)] = ()
    revoked: Annotated[tuple[KeyIdText, ...], msgspec.Meta(max_length=ANCHORS_MAX)] = ()


class Policy(msgspec.Struct, frozen=True):
    """Whom a data folder's process trusts, as its operator said so far."""

    anchors: tuple[Anchor, ...] = ()
    revoked: tuple[KeyId, ...] = ()

    def trusting(self, anchor: Anchor) -> "Policy":
        """The same with one more anchor; its key is revoked no more."""
        revoked = tuple(key for key in self.revoked if key != anchor.key.id)
        return Policy(tuple(dict.fromkeys((*self.anchors, anchor))), revoked)

    def revoking(self, key: KeyId) -> "Policy":
        """The same without faith in a key. Its anchors stay, lest the last one's going should bring
        back the trust in every member."""
        return Policy(self.anchors, tuple(dict.fromkeys((*self.revoked, key))))


def parse_anchor(text: str) -> Anchor:
    """Read `KEY` or `KEY=PATTERN`; UsageError names the rule it breaks."""
    key, _, pattern = text.partition("=")
    if not pattern and text.endswith("="):
        raise UsageError(f"{text[:80]!r}: the pattern is empty", hint="for example KEY='app:*'")
    return Anchor(PublicKey.parse(key), parse_pattern(pattern) if pattern else EVERY_NAME)


class TrustFile:
    """One such file. A missing one says nothing."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / TRUST_FILE

    def stamp(self) -> tuple[int, ...]:
        """Differs from an earlier one if the file was changed; empty if there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return ()
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def read(self) -> Policy:
        """What it says. ConfigurationError if it cannot be read or understood."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return Policy()
        except OSError as error:
            raise self._bad(error.strerror or "cannot be read") from None
        if len(raw) > FILE_BYTES_MAX:
            raise self._bad(f"larger than {FILE_BYTES_MAX} bytes")
        try:
            file = msgspec.json.decode(raw, type=_File)
            if file.form != FORM:
                raise self._bad(f"form {file.form}; this strew knows {FORM}")
            anchors = tuple(Anchor(PublicKey.parse(of.key), of.pattern) for of in file.trusted)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._bad(str(error)) from None
        except UsageError as error:
            raise self._bad(error.message) from None
        return Policy(anchors, tuple(KeyId(key) for key in file.revoked))

    def change(self, how: Callable[[Policy], Policy]) -> Policy:
        """Write what `how` makes of it; two commands at the same time follow each other. DiskError;
        UsageError if it grows over its limits."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path.with_name(LOCK_FILE), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            policy = how(self.read())
            if max(len(policy.anchors), len(policy.revoked)) > ANCHORS_MAX:
                raise UsageError(f"{self.path}: at most {ANCHORS_MAX} keys", hint="use patterns")
            self._write(policy)
        finally:
            os.close(lock)
        return policy

    def _write(self, policy: Policy) -> None:
        trusted = tuple(_Trusted(of.key.text, of.pattern) for of in policy.anchors)
        raw = msgspec.json.encode(_File(FORM, trusted, policy.revoked))
        partial = self.path.with_name(f"{TRUST_FILE}.{os.getpid()}")
        try:
            with partial.open("wb") as file:
                file.write(msgspec.json.format(raw) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise self._unwritable(error) from None

    def _bad(self, rule: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path}: {rule}", hint="restore it, or make it anew with 'strew key trust'"
        )

    def _unwritable(self, error: OSError) -> DiskError:
        return DiskError(
            f"{self.path} cannot be written: {error.strerror}", hint="name a folder with --data"
        )
