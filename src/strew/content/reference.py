"""What people type to name an artifact, and the addresses inside links.

A reference is one of three (one spelling each, nothing is guessed):

    NAME:TAG                     a published name; it may move to a newer artifact
    blake3:<64 hex digits>       one artifact for ever
    strew://HOST:PORT/NAME:TAG   a published name, and the tracker that knows it

A name is one or more parts joined by `/` (team/app). Names go into URLs and log lines unescaped, so
their alphabet is small: parts and tags are ASCII letters, digits and `. _ -`, a letter or digit
first, never `..`. Letters keep their case.
"""

import re
from typing import NamedTuple

from strew.content.digest import ARTIFACT_ID_PREFIX, ArtifactId, parse_artifact_id
from strew.errors import UsageError

LINK_PREFIX = "strew://"

NAME_MAX_CHARS = 128
"""Room for `organisation/product-variant`; a longer one breaks tables."""

TAG_MAX_CHARS = 128
"""As Docker's tags, which people will copy here."""

HOST_MAX_CHARS = 253
"""RFC 1035 section 2.3.4, in text form without the root's dot."""

PORT_MAX = 65535

_ID_HEX_DIGITS = 64
_QUOTED_MAX_CHARS = 80

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_HOST = re.compile(
    r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*",
    re.ASCII,
)
_IPV6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_.-]+)?", re.ASCII)
_FORMS = "write NAME:TAG, blake3:<64 hex digits> or strew://HOST:PORT/NAME:TAG"
_ALPHABET = "use ASCII letters, digits and . _ -, a letter or digit first"


class Name(NamedTuple):
    """A published NAME:TAG; `str()` gives it back as typed."""

    name: str
    tag: str

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}"


class Address(NamedTuple):
    """Where a TCP port is; IPv6 hosts are kept without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Link(NamedTuple):
    """A NAME:TAG and the tracker that knows it."""

    address: Address
    name: Name

    def __str__(self) -> str:
        return f"{LINK_PREFIX}{self.address}/{self.name}"


Reference = Name | ArtifactId | Link
"""Tell them apart with isinstance: Name, Link, else it is the text of an ArtifactId."""


def parse_reference(text: str) -> Reference:
    """Read any of the three forms; UsageError says which rule is broken, and the remedy."""
    if text.startswith(LINK_PREFIX):
        return _parse_link(text)
    if text.lower().startswith(ARTIFACT_ID_PREFIX):
        return _parse_id(text)
    if "://" in text:
        raise UsageError(f"{_quoted(text)}: not a strew link", hint=_FORMS)
    if ":" not in text:
        raise UsageError(f"{_quoted(text)}: no tag, a reference is NAME:TAG", hint=_FORMS)
    return parse_name(text)


def parse_name(text: str) -> Name:
    """Read NAME:TAG, for commands that publish; UsageError otherwise."""
    name, colon, tag = text.partition(":")
    if not colon:
        raise UsageError(f"{_quoted(text)}: no tag, a published name is NAME:TAG")
    if name.lower() == ARTIFACT_ID_PREFIX[:-1]:
        raise UsageError(
            f"{_quoted(text)}: the name 'blake3' is kept for artifact ids",
            hint="choose another name",
        )
    if len(name) > NAME_MAX_CHARS:
        raise UsageError(f"{_quoted(text)}: the name is longer than {NAME_MAX_CHARS} characters")
    if len(tag) > TAG_MAX_CHARS:
        raise UsageError(f"{_quoted(text)}: the tag is longer than {TAG_MAX_CHARS} characters")
    for part in name.split("/"):
        _check_word(text, "name", part)
    _check_word(text, "tag", tag)
    return Name(name, tag)


def parse_address(text: str, *, port_min: int = 1) -> Address:
    """Read HOST:PORT (IPv6 as [::1]:7300); UsageError names what is wrong.

    `port_min` 0 lets the kernel choose the port: for addresses to listen on.
    """
    host, port_text = _split_address(text)
    is_v6 = text.startswith("[")
    if is_v6 and not _IPV6.fullmatch(host):
        raise UsageError(f"{_quoted(text)}: not an IPv6 address between the brackets")
    if not is_v6 and (not _HOST.fullmatch(host) or len(host) > HOST_MAX_CHARS):
        raise UsageError(
            f"{_quoted(text)}: not a host name or IP address before the port",
            hint="write HOST:PORT, IPv6 as [::1]:7300",
        )
    # int() would take '+1', '1_0' and digits of other scripts
    if not (port_text.isascii() and port_text.isdigit()):
        raise UsageError(
            f"{_quoted(text)}: port {_quoted(port_text)} is not a number", hint="write HOST:PORT"
        )
    port = int(port_text) if len(port_text) <= len(str(PORT_MAX)) else PORT_MAX + 1
    if not port_min <= port <= PORT_MAX:
        raise UsageError(f"{_quoted(text)}: a port is between {port_min} and {PORT_MAX}")
    return Address(host, port)


def _split_address(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise UsageError(f"{_quoted(text)}: no port", hint="write [IPV6]:PORT")
        return host, rest[1:]
    host, colon, port_text = text.rpartition(":")
    if not colon:
        raise UsageError(
            f"{_quoted(text)}: no port", hint="write HOST:PORT; trackers listen on 7300"
        )
    if ":" in host:
        raise UsageError(
            f"{_quoted(text)}: more than one colon", hint="write IPv6 addresses as [::1]:7300"
        )
    return host, port_text


def _parse_id(text: str) -> ArtifactId:
    digits = text[len(ARTIFACT_ID_PREFIX) :]
    if len(digits) != _ID_HEX_DIGITS:
        raise UsageError(
            f"{_quoted(text)}: an artifact id has {_ID_HEX_DIGITS} hex digits, "
            f"this has {len(digits)}",
            hint="copy it whole from 'strew ls'",
        )
    return parse_artifact_id(text)


def _parse_link(text: str) -> Link:
    address_text, slash, name_text = text[len(LINK_PREFIX) :].partition("/")
    if not slash:
        raise UsageError(
            f"{_quoted(text)}: the link names no artifact", hint="write strew://HOST:PORT/NAME:TAG"
        )
    try:
        return Link(parse_address(address_text), parse_name(name_text))
    except UsageError as error:
        raise UsageError(f"link {_quoted(text)}: {error.message}", hint=error.hint) from None


def _check_word(text: str, what: str, word: str) -> None:
    """A part of NAME:TAG; every message names the whole input and the one rule it breaks."""
    if not word:
        raise UsageError(f"{_quoted(text)}: the {what} is empty or has an empty part", hint=_FORMS)
    if ".." in word:
        raise UsageError(f"{_quoted(text)}: '..' is not allowed in a {what}", hint=_ALPHABET)
    if word.startswith("-"):
        raise UsageError(f"{_quoted(text)}: a {what} does not start with '-'", hint=_ALPHABET)
    if not _WORD.fullmatch(word):
        wrong = next((c for c in word if not _WORD.fullmatch("a" + c)), word[0])
        raise UsageError(f"{_quoted(text)}: {wrong!a} in the {what}", hint=_ALPHABET)


def _quoted(text: str) -> str:
    """The input for an error line: printable ASCII, on one line, of bounded length."""
    shown = text if len(text) <= _QUOTED_MAX_CHARS else text[: _QUOTED_MAX_CHARS - 1] + "…"
    return repr(shown) if shown.isprintable() else ascii(shown)
