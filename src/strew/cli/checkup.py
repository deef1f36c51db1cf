"""What `strew doctor` looks at: each check is one function that gives findings.

A finding says what was seen and, unless all is well, the remedy. Checks leave everything as it was
(a file that one writes to time the disk is gone at its end), need no running agent, and end within
a few seconds each.
"""

import ctypes
import errno
import http.client
import importlib
import importlib.metadata
import os
import platform
import resource
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal

from strew.agent.quantity import GIB, MIB, format_size
from strew.agent.securing import Security
from strew.agent.settings import Settings
from strew.certificates.refusals import refusal
from strew.content.reference import Address
from strew.errors import ConfigurationError

Level = Literal["ok", "warning", "failed"]

DESCRIPTORS_NEEDED = 1024
"""512 inbound connections, neighbours, 64 open files of the store, and the interpreter's own."""

DISK_FREE_SENSIBLE_BYTES = GIB
"""Below this most artifacts would not fit."""

DISK_FREE_NEEDED_BYTES = 64 * MIB
"""Below this not even the index has room to work."""

CLOCK_SKEW_MAX_S = 30.0
"""Publications and leases carry times; a larger difference makes reports misleading."""

CLOCK_EARLIEST_S = 1_735_689_600.0
"""2025-01-01: a clock before the program existed was never set."""

DISK_SAMPLE_BYTES = 32 * MIB
"""Written and flushed to time the disk. Less fits into the cache of most drives; more takes a slow
one longer than a person waits."""

DISK_SAMPLE_S = 3.0
"""A slower disk is known to be slow after so long."""

DISK_SPEED_SENSIBLE_BYTES_PER_S = 25 * MIB
"""Where no download rate is set: half of what a link of 500 Mbit/s brings. A slower disk holds up
the machine's transfers, and what it would pass on."""

TIME_ERROR = 5
"""What adjtimex(2) returns while nothing keeps the clock in time."""

TIMEX_BYTES = 256
"""More than struct timex of adjtimex(2) has anywhere."""

CONNECT_TIMEOUT_S = 3.0

LIBRARIES = ("aiohttp", "blake3", "cryptography", "msgspec", "pyfastcdc")
"""Those with compiled parts, which can be missing on a platform although pip succeeded."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `remedy` is empty when all is well."""

    check: str
    level: Level
    detail: str
    remedy: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """All checks, in the order in which a person would repair what they find."""
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _runtime,
        _libraries,
        _descriptors,
        _clock,
        _time_sync,
        _store_folder,
        _target_folder,
        _disk_speed,
        _port,
        _fleet_key,
        _certificate,
        _trackers,
    )
    for check in checks:
        yield from check(settings)


def _runtime(_: Settings) -> Iterator[Finding]:
    detail = f"Python {platform.python_version()}, {platform.system()} {platform.release()}"
    if not sys.platform.startswith("linux"):
        yield Finding("system", "warning", detail, "strew is tested on Linux only")
    elif not hasattr(os, "sendfile"):
        yield Finding("system", "failed", detail, "use a Python that has os.sendfile")
    else:
        yield Finding("system", "ok", detail)


def _libraries(_: Settings) -> Iterator[Finding]:
    versions: list[str] = []
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except (ImportError, importlib.metadata.PackageNotFoundError) as error:
            remedy = "install strew again: pip install --force-reinstall strew"
            yield Finding("libraries", "failed", f"{name}: {error}", remedy)
    if len(versions) == len(LIBRARIES):
        yield Finding("libraries", "ok", ", ".join(versions))


def _certificate(settings: Settings) -> Iterator[Finding]:
    """Of profile strict alone: all that a start would refuse, and whether renewing works."""
    try:
        security = Security.of(settings)
    except ConfigurationError as error:
        yield Finding("certificate", "failed", error.message, error.hint)
        return
    if security is None:
        return
    detail = f"peer {security.certified.digits}, valid until {security.until:%F %T} UTC"
    if security.is_late:
        remedy = "renew it: strew key issue NAME --ca DIR, or --tls-issuer DIR at 'strew serve'"
        yield Finding("certificate", "warning", f"{detail}; not renewed in time", remedy)
    else:
        yield Finding("certificate", "ok", detail)


def _descriptors(_: Settings) -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = soft == resource.RLIM_INFINITY
    detail = f"{'any number of' if unlimited else soft} open files"
    if unlimited or soft >= DESCRIPTORS_NEEDED:
        yield Finding("open files", "ok", detail)
        return
    can_raise = hard == resource.RLIM_INFINITY or hard >= DESCRIPTORS_NEEDED
    remedy = f"ulimit -n {DESCRIPTORS_NEEDED}" if can_raise else "raise the hard limit (nofile)"
    yield Finding("open files", "warning", f"{detail}, {DESCRIPTORS_NEEDED} may be needed", remedy)


def _clock(_: Settings) -> Iterator[Finding]:
    now_s = time.time()
    text = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s))
    if now_s < CLOCK_EARLIEST_S:
        yield Finding("clock", "failed", text, "set the clock, for example with NTP")
    else:
        yield Finding("clock", "ok", text)


def _time_sync(_: Settings) -> Iterator[Finding]:
    """Whether the kernel has been told by somebody that its clock is kept in time."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    except (AttributeError, OSError):
        return  # not on this system
    if state < 0:
        return  # a container may not ask
    if state == TIME_ERROR:
        remedy = "run an NTP client, such as chrony or systemd-timesyncd"
        yield Finding("time sync", "warning", "nothing keeps the clock in time", remedy)
    else:
        yield Finding("time sync", "ok", "the clock is kept in time")


def _store_folder(settings: Settings) -> Iterator[Finding]:
    if settings.data is None:
        yield Finding("store", "failed", "no home folder and no --data", "give --data DIR")
    else:
        yield _folder("store", settings.data)


def _target_folder(settings: Settings) -> Iterator[Finding]:
    if settings.follow:
        yield _folder("target", settings.into)


def _nearest(folder: Path) -> Path:
    """A folder, or the nearest one above that exists."""
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    return there


def _disk_speed(settings: Settings) -> Iterator[Finding]:
    """How fast the disk of followed files takes what arrives, flushed as a file in place is."""
    folder = settings.into if settings.follow else settings.data
    if folder is None:
        return  # told already
    try:
        speed_bytes_per_s = _timed_write(_nearest(folder))
    except OSError:
        return  # that the folder cannot be written to is told already
    needed_bytes_per_s = settings.rate_down_bytes_per_s or DISK_SPEED_SENSIBLE_BYTES_PER_S
    detail = f"{folder}: {format_size(int(speed_bytes_per_s))}/s written and flushed"
    if speed_bytes_per_s >= needed_bytes_per_s:
        yield Finding("disk speed", "ok", detail)
    else:
        remedy = "name a folder on a faster disk; transfers here wait for it, and so do others"
        yield Finding("disk speed", "warning", detail, remedy)


def _timed_write(folder: Path) -> float:
    """Bytes per second that a file without a name takes; it is gone when it is closed. OSError."""
    piece = os.urandom(MIB)
    free_bytes = shutil.disk_usage(folder).free
    wanted_bytes = min(DISK_SAMPLE_BYTES, max(MIB, free_bytes // 4))
    written_bytes = 0
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        started_s = time.monotonic()
        while written_bytes < wanted_bytes and time.monotonic() - started_s < DISK_SAMPLE_S:
            written_bytes += file.write(piece)
        os.fsync(file.fileno())
        return written_bytes / max(time.monotonic() - started_s, 1e-6)


def _folder(check: str, folder: Path) -> Finding:
    """Whether files can be made in a folder, or in the nearest one above that exists."""
    there = folder.absolute()
    try:
        there = _nearest(folder)
        if not there.is_dir():
            return Finding(check, "failed", f"{there} is not a folder", "name another folder")
        if not os.access(there, os.W_OK | os.X_OK):
            remedy = "name another folder, or change its owner or mode"
            return Finding(check, "failed", f"{there} may not be written to", remedy)
        free_bytes = shutil.disk_usage(there).free
    except OSError as error:
        return Finding(check, "failed", f"{folder}: {error.strerror}", "name another folder")
    detail = f"{folder}: {format_size(free_bytes)} free"
    if free_bytes < DISK_FREE_NEEDED_BYTES:
        return Finding(check, "failed", detail, "free some space, or name another folder")
    if free_bytes < DISK_FREE_SENSIBLE_BYTES:
        return Finding(check, "warning", detail, "most artifacts need more: free some space")
    return Finding(check, "ok", detail)


def _port(settings: Settings) -> Iterator[Finding]:
    """Whether the address can be listened on, by TCP and UDP; its own running agent also makes it
    taken."""
    address = settings.listen
    for kind, name in ((socket.SOCK_STREAM, "TCP"), (socket.SOCK_DGRAM, "UDP")):
        trouble = _trouble(address, kind, name)
        if trouble is not None:
            yield trouble
            return
    detail = f"{address} is free, TCP and UDP"
    if not _is_loopback(address):
        yield Finding("port", "ok", detail)
    elif all(map(_is_loopback, settings.join)):
        yield Finding("port", "ok", f"{detail}; only this machine can reach it")
    else:
        remedy = "on a fleet give --listen an address that other machines reach"
        yield Finding("port", "warning", f"{detail}; only this machine can reach it", remedy)


def _trouble(address: Address, kind: socket.SocketKind, name: str) -> Finding | None:
    """Why a socket of one kind cannot be had there."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(tuple(address))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            remedy = "if no strew runs here, choose another port with --listen"
            return Finding("port", "warning", f"{address} is taken for {name}", remedy)
        remedy = "give --listen an address of this machine"
        return Finding("port", "failed", f"{address}: {error.strerror or error}", remedy)
    return None


def _is_loopback(address: Address) -> bool:
    return address.host.startswith("127.") or address.host in ("::1", "localhost")


def _fleet_key(settings: Settings) -> Iterator[Finding]:
    if settings.fleet_key:
        yield Finding("fleet key", "ok", "set")
    else:
        remedy = "give --fleet-key FILE or STREW_FLEET_KEY; 'strew serve' prints it"
        yield Finding("fleet key", "warning", "not set: no tracker will accept this node", remedy)


def _trackers(settings: Settings) -> Iterator[Finding]:
    if not settings.join:
        remedy = "give --join HOST:PORT to have a tracker looked at"
        yield Finding("tracker", "warning", "none named", remedy)
    try:
        security = Security.of(settings)
    except ConfigurationError:
        return  # told already; nobody can be asked without
    for address in settings.join:
        yield _tracker(address, security)


def _tracker(address: Address, security: Security | None) -> Finding:
    """Whether a tracker answers over HTTP, how fast, and how far its clock is from ours."""
    started_s = time.monotonic()
    if security is None:
        connection = http.client.HTTPConnection(*address, timeout=CONNECT_TIMEOUT_S)
    else:
        connection = http.client.HTTPSConnection(
            *address, timeout=CONNECT_TIMEOUT_S, context=security.named
        )
    try:
        connection.connect()
        connected_s = time.monotonic() - started_s
        connection.request("GET", "/healthz")
        reply = connection.getresponse()
        status, date_text = reply.status, reply.headers.get("Date", "")
    except (OSError, http.client.HTTPException) as error:
        refused = refusal(error, str(address))
        if refused is not None:
            return Finding("tracker", "failed", refused.message, refused.hint)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        remedy = "is 'strew serve' running there, and is its port open in the firewall?"
        return Finding("tracker", "failed", f"{address}: {reason}", remedy)
    finally:
        connection.close()
    if status != http.client.OK:
        remedy = "is that really a strew tracker?"
        return Finding("tracker", "failed", f"{address} answered {status}", remedy)
    detail = f"{address} answers, connected in {connected_s * 1000:.1f} ms"
    skew_s = _skew_s(date_text)
    if skew_s is not None and skew_s > CLOCK_SKEW_MAX_S:
        remedy = "set both clocks, for example with NTP"
        return Finding("tracker", "warning", f"{detail}; clocks differ by {skew_s:.0f} s", remedy)
    return Finding("tracker", "ok", detail)


def _skew_s(date_text: str) -> float | None:
    """How far an HTTP date (RFC 9110 section 5.6.7) is from this machine's clock."""
    try:
        return abs(parsedate_to_datetime(date_text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
