"""The fleet key: one secret that every process of a fleet holds, and what is derived from it.

Nothing derived here lets anyone compute the secret, or one derived value from another: each is an
HMAC-SHA256 (RFC 2104) over its own label, with every part's length in front, so that no two
inputs run together to the same bytes.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from strew.content.digest import ArtifactId
from strew.errors import ConfigurationError

SECRET_BYTES = 32
"""256 bits: the block of security HMAC-SHA256 can give."""

TOKEN_CHARS_MAX = 128
"""Longer credentials are refused before they are compared; ours have 66 to 72 characters."""

_DOMAIN = b"strew fleet 1"
_SECRET_TEXT = re.compile(r"[0-9a-f]{64}\Z")


class Role(IntEnum):
    """What the bearer of a token may ask for on HTTP. Roles do not contain one another: a route
    lists those it admits."""

    READ = 1
    """See what is known. For dashboards and scrapers."""
    NODE = 2
    """Take part: announce, listen, control the node's own process."""
    PUBLISH = 3
    """Upload manifests and give names to artifacts."""
    ADMIN = 4
    """Make and revoke tokens. Never derived from the fleet key: see strew.access.tokens."""
    JOIN = 5
    """Be given the fleet key, once. No route admits it: it is proved, not shown."""


_LETTER: Mapping[Role, str] = {Role.READ: "r", Role.NODE: "n", Role.PUBLISH: "p"}


@dataclass(frozen=True, slots=True)
class FleetKey:
    """The secret of a fleet. Its text form is what users copy; it never appears in a repr."""

    secret: bytes = field(repr=False)
    _tokens: dict[Role, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Derive the role tokens once: they are compared on every request.

        Raises ConfigurationError if the secret is not 32 bytes.
        """
        if len(self.secret) != SECRET_BYTES:
            raise ConfigurationError(
                f"fleet key has {len(self.secret)} bytes; it must have {SECRET_BYTES}",
                hint="use the key that `strew serve` printed",
            )
        tokens = {
            role: f"{letter}." + self.proof(b"token", letter.encode()).hex()
            for role, letter in _LETTER.items()
        }
        object.__setattr__(self, "_tokens", tokens)

    @classmethod
    def parse(cls, text: str) -> "FleetKey":
        """Read 64 hex digits, blanks around them allowed.

        Raises ConfigurationError that tells the length found, never the text itself.
        """
        digits = text.strip().lower()
        if _SECRET_TEXT.match(digits) is None:
            raise ConfigurationError(
                f"fleet key of {len(digits)} characters; it must be 64 hex digits",
                hint="use the key that `strew serve` printed, or its key file",
            )
        return cls(bytes.fromhex(digits))

    @property
    def text(self) -> str:
        """64 lower case hex digits. Secret."""
        return self.secret.hex()

    def fingerprint(self) -> str:
        """16 hex digits that tell keys apart and may be shown and logged."""
        return self.proof(b"fingerprint").hex()[:16]

    def proof(self, role: bytes, *parts: bytes) -> bytes:
        """HMAC-SHA256 of `parts` under the label `role`, 32 bytes.

        For a challenge both sides' nonces and the direction must be among the parts, else one
        side's answer can be played back to it.
        """
        mac = hmac.new(self.secret, _DOMAIN, hashlib.sha256)
        for part in (role, *parts):
            mac.update(len(part).to_bytes(8, "big"))
            mac.update(part)
        return mac.digest()

    def proves(self, claimed: bytes, role: bytes, *parts: bytes) -> bool:
        """Whether `claimed` is the proof of `parts`, in time that does not depend on it."""
        return hmac.compare_digest(claimed, self.proof(role, *parts))

    def viewer_token(self) -> str:
        """Bearer token of Role.READ."""
        return self._tokens[Role.READ]

    def node_token(self) -> str:
        """Bearer token of Role.NODE."""
        return self._tokens[Role.NODE]

    def publish_token(self) -> str:
        """Bearer token of Role.PUBLISH."""
        return self._tokens[Role.PUBLISH]

    def read_token(self, artifact: ArtifactId) -> str:
        """Token to read the files of this artifact alone, for links given to outside tools."""
        return "f." + self.proof(b"files", artifact.encode()).hex()

    def reads(self, token: str, artifact: ArtifactId) -> bool:
        """Whether `token` opens the files of `artifact`: its own read token, or a node's."""
        own = same_text(token, self.read_token(artifact))
        node = same_text(token, self._tokens[Role.NODE])
        return own or node

    def role_of(self, token: str) -> Role | None:
        """The role a bearer token proves, None for any other text. Looks at all always."""
        found: Role | None = None
        for role, expected in self._tokens.items():
            if same_text(token, expected):
                found = role
        return found


def same_text(given: str, expected: str) -> bool:
    """Compare a credential in time that does not depend on where it differs."""
    if len(given) > TOKEN_CHARS_MAX:
        return False
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def bearer_of(authorization: str) -> str:
    """The token of an ``Authorization: Bearer`` value (RFC 6750, section 2.1), "" if none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
