"""Where the value of a setting comes from: flag, then environment, then file, then default.

The file is TOML, `~/.config/strew/config.toml` or what `--config` or STREW_CONFIG names. Its keys
are those of strew.agent.settings; a key that is not known is an error, because a misspelt limit
that is silently ignored is found only on the day it was needed.

A mistake in a flag is a UsageError, one in the environment or the file a ConfigurationError; both
say where the value stands, which rule it breaks, and the remedy, in one line.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

from strew.access.tokens import is_token
from strew.agent.knob import Knob
from strew.agent.settings import (
    KEYS,
    KNOBS,
    RATE_BOTH,
    TRACKER_PORT,
    Settings,
)
from strew.errors import ConfigurationError, StrewError, UsageError

CONFIG_FILE_MAX_BYTES = 1 << 20
"""A file of settings is a few hundred bytes; more is the wrong file."""

KEY_FILE_MAX_BYTES = 4096
"""64 digits, a newline and perhaps a comment; more is the wrong file."""

NUMBER_MAX = 1 << 63
"""Larger than any setting may be, and what other programs still read as a number."""

Role = Literal["node", "serve", "client"]
"""node and serve run for long and get folders of their own; client is every other command."""

FlagValue = str | Sequence[str] | None

_HEX_KEY = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_FLEET_KEY_FILE = "fleet.key"
_ROLE_LISTEN: dict[Role, str] = {"serve": f"127.0.0.1:{TRACKER_PORT}", "client": "127.0.0.1:0"}


class Source(IntEnum):
    """Where a value stands; the larger one wins."""

    DEFAULT = 0
    FILE = 1
    ENVIRONMENT = 2
    FLAG = 3


@dataclass(frozen=True, slots=True)
class Origin:
    """The place of one value: its kind, and the flag, variable or file by name."""

    source: Source
    where: str

    def __str__(self) -> str:
        return self.where


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings, and for each field of them where its value came from."""

    settings: Settings
    origins: Mapping[str, Origin]
    file: Path | None
    """The file that was read, if there was one."""


@dataclass(frozen=True, slots=True)
class _Given:
    """One value as written, before it is understood."""

    texts: tuple[str, ...]
    origin: Origin


def load(
    flags: Mapping[str, FlagValue] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    config_path: str | Path | None = None,
    role: Role = "client",
) -> Configuration:
    """Find and check every setting.

    `flags` maps keys (`rate-up`) to what was typed; None and () stand for flags not given. The
    whole file is checked, also what flags override. Raises UsageError for flags and
    ConfigurationError for everything else; works without a home folder.
    """
    environ = os.environ if environ is None else environ
    file = _find_file(config_path, environ)
    layers = [
        _from_flags(flags or {}),
        _from_environment(environ),
        _from_file(file) if file else {},
        _from_defaults(environ, role),
    ]
    for layer in layers:
        for key, given in layer.items():
            _understand(KEYS[key], given)  # an overridden mistake is a mistake all the same
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for field, knob in KNOBS.items():
        chosen = _choose(knob, layers)
        if chosen is None:
            values[field] = () if knob.many else "" if knob.key == "zone" else None
            origins[field] = Origin(Source.DEFAULT, "default")
        else:
            values[field] = _understand(knob, chosen)
            origins[field] = chosen.origin
    return Configuration(Settings(**values), origins, file)


def config_folder(environ: Mapping[str, str]) -> Path | None:
    """Folder of the file of settings and the fleet key, None where there is no home."""
    return _user_folder(environ, "XDG_CONFIG_HOME", ".config")


def default_data_folder(environ: Mapping[str, str], role: Role) -> Path | None:
    """The store's folder unless one is named: apart for each role, as two agents never share."""
    folder = _user_folder(environ, "XDG_DATA_HOME", ".local/share")
    return folder / role if folder else None


def nearest_key(key: str) -> str | None:
    """The known key that looks most like a misspelt one."""
    wanted = key.lower().replace("_", "-")
    found = difflib.get_close_matches(wanted, KEYS, n=1, cutoff=0.6)
    return found[0] if found else None


def _choose(knob: Knob, layers: Sequence[Mapping[str, _Given]]) -> _Given | None:
    """The first layer that has the knob; `rate` speaks for both ways within its layer."""
    both = RATE_BOTH.key if knob.key in ("rate-up", "rate-down") else knob.key
    for layer in layers:
        given = layer.get(knob.key) or layer.get(both)
        if given is not None:
            return given
    return None


def _understand(knob: Knob, given: _Given) -> Any:
    try:
        if knob.key == "fleet-key":
            return _read_key(given.texts[0])
        if knob.secret:
            return _read_token(knob, given.texts[0])
        if not knob.many:
            return knob.read(given.texts[0])
        parts = [part.strip() for text in given.texts for part in text.split(",")]
        if len(parts) > knob.many:
            raise UsageError(f"{len(parts)} values, at most {knob.many} are allowed")
        # dict: each once, in the order given
        return tuple(dict.fromkeys(knob.read(part) for part in parts if part))
    except StrewError as error:
        raise _blame(given.origin, error) from None


def _blame(origin: Origin, error: StrewError) -> StrewError:
    """The same rule, said of the place where the value stands."""
    guilty = UsageError if origin.source is Source.FLAG else ConfigurationError
    return guilty(f"{origin.where}: {error.message}", hint=error.hint)


def _from_flags(flags: Mapping[str, FlagValue]) -> dict[str, _Given]:
    layer: dict[str, _Given] = {}
    for key, value in flags.items():
        if value is None or value == () or value == []:
            continue
        texts = (value,) if isinstance(value, str) else tuple(value)
        layer[key] = _Given(texts, Origin(Source.FLAG, KEYS[key].flag))
    return layer


def _from_environment(environ: Mapping[str, str]) -> dict[str, _Given]:
    """An empty variable counts as not set: that is how unit files and shells unset one."""
    return {
        knob.key: _Given((environ[knob.variable],), Origin(Source.ENVIRONMENT, knob.variable))
        for knob in KEYS.values()
        if environ.get(knob.variable)
    }


def _from_defaults(environ: Mapping[str, str], role: Role) -> dict[str, _Given]:
    layer = {
        knob.key: _Given((knob.default,), Origin(Source.DEFAULT, "default"))
        for knob in KNOBS.values()
        if knob.default
    }
    if role in _ROLE_LISTEN:
        layer["listen"] = _Given((_ROLE_LISTEN[role],), Origin(Source.DEFAULT, "default"))
    folder = default_data_folder(environ, role)
    if folder:
        layer["data"] = _Given((str(folder),), Origin(Source.DEFAULT, "default"))
    settings_folder = config_folder(environ)
    key_file = settings_folder / _FLEET_KEY_FILE if settings_folder else None
    if key_file and _is_readable_file(key_file):
        layer["fleet-key"] = _Given((str(key_file),), Origin(Source.DEFAULT, str(key_file)))
    return layer


def _from_file(path: Path) -> dict[str, _Given]:
    layer: dict[str, _Given] = {}
    for key, value in _read_toml(path).items():
        origin = Origin(Source.FILE, f"{path}: {key}")
        knob = KEYS.get(key)
        if knob is None:
            near = nearest_key(key)
            raise ConfigurationError(
                f"{path}: unknown key {key!r}",
                hint=f"did you mean {near!r}?" if near else "'strew config explain' lists all keys",
            )
        layer[key] = _Given(_texts_of(knob, value, origin), origin)
    return layer


def _texts_of(knob: Knob, value: object, origin: Origin) -> tuple[str, ...]:
    """A TOML value as texts; numbers may stand without quotes where the knob is a number."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and knob.many and all(isinstance(part, str) for part in value):
        return tuple(value)
    is_number = knob.unit in ("bytes", "bytes/s", "s") or knob.lowest is not None
    if is_number and isinstance(value, int | float) and not isinstance(value, bool):
        if 0 <= value <= NUMBER_MAX:
            return (str(value),)
        raise ConfigurationError(f"{origin}: not a number from 0 up to {NUMBER_MAX}")
    wanted = "a number or a text" if is_number else "a list of texts" if knob.many else "a text"
    raise ConfigurationError(
        f"{origin}: wants {wanted}, got {_TOML_TYPES.get(type(value), 'a date')}",
        hint=f"'strew config explain {knob.key}' shows how to write it",
    )


_TOML_TYPES: dict[type, str] = {
    bool: "true or false",
    dict: "a table",
    float: "a number",
    int: "a number",
    list: "a list",
}


def _read_toml(path: Path) -> dict[str, Any]:
    raw = _read_small(path, CONFIG_FILE_MAX_BYTES, "file of settings")
    try:
        return tomllib.loads(raw.decode())
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"{path}: not a text file in UTF-8", hint="write settings as TOML: rate-up = '10M'"
        ) from None
    except tomllib.TOMLDecodeError as error:
        rule = " ".join(str(error).split())
        if "overwrite" in rule:
            rule = rule.replace("Cannot overwrite a value", "the same key stands twice")
        raise ConfigurationError(
            f"{path}: not valid TOML: {rule}", hint="write settings as: rate-up = '10M'"
        ) from None
    except ValueError:  # Python reads no number of more than 4300 digits
        raise ConfigurationError(f"{path}: a number in it is too long") from None
    except RecursionError:
        raise ConfigurationError(f"{path}: nested too deeply") from None


def _find_file(named: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: one that was named must exist, the usual one may be missing."""
    for name, origin in ((named, "--config"), (environ.get("STREW_CONFIG"), "STREW_CONFIG")):
        if name:
            named_path = Path(name)
            if not named_path.exists():
                raise ConfigurationError(f"{origin}: there is no file {str(named_path)!r}")
            return named_path
    folder = config_folder(environ)
    usual_path = folder / "config.toml" if folder else None
    try:
        return usual_path if usual_path and usual_path.exists() else None
    except PermissionError:
        return None  # a home that may not be entered holds no settings for this user


def _read_key(text: str) -> str:
    """The 64 hex digits given as such or as the name of a file that holds them."""
    stripped = text.strip()
    if _HEX_KEY.fullmatch(stripped):
        return stripped.lower()
    path = Path(text)
    if "/" not in text and re.fullmatch(r"[0-9a-fA-F]{32,}", stripped) and not path.exists():
        raise UsageError(
            f"a fleet key has 64 hex digits, this has {len(stripped)}",
            hint="copy it whole from the join line of 'strew serve'",
        )
    raw = _read_small(path, KEY_FILE_MAX_BYTES, "key file")
    content = raw.decode("ascii", errors="replace").strip()
    if not _HEX_KEY.fullmatch(content):
        raise UsageError(
            f"file {str(path)!r} does not hold 64 hex digits",
            hint="'strew serve' makes a key and prints it in its join line",
        )
    return content.lower()


def _read_token(knob: Knob, text: str) -> str:
    """A token given as such or as the name of a file that holds it."""
    if is_token(text.strip()) or not ("/" in text or Path(text).exists()):
        return str(knob.read(text))
    raw = _read_small(Path(text), KEY_FILE_MAX_BYTES, "token file")
    return str(knob.read(raw.decode("ascii", errors="replace")))


def _read_small(path: Path, max_bytes: int, what: str) -> bytes:
    try:
        if not path.is_file():
            rule = "is not a file" if path.exists() else "does not exist"
            raise ConfigurationError(f"{what} {str(path)!r} {rule}")
        with path.open("rb") as file:
            raw = file.read(max_bytes + 1)
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise ConfigurationError(f"{what} {str(path)!r}: {reason}") from None
    if len(raw) > max_bytes:
        raise ConfigurationError(f"{what} {str(path)!r} is larger than {max_bytes} bytes")
    return raw


def _user_folder(environ: Mapping[str, str], variable: str, below_home: str) -> Path | None:
    """strew's folder below an XDG base folder (XDG Base Directory Specification 0.8).

    Without HOME the user database is not asked: a service started so has no home on purpose.
    """
    base = environ.get(variable, "")
    if base.startswith("/"):  # the specification: relative paths must be ignored
        return Path(base) / "strew"
    home = environ.get("HOME", "")
    return Path(home) / below_home / "strew" if home.startswith("/") else None


def _is_readable_file(path: Path) -> bool:
    try:
        return path.is_file() and os.access(path, os.R_OK)
    except OSError:
        return False
