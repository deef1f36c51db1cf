"""What TLS says when it refuses, in strew's words.

Under TLS 1.3 a client has finished its handshake before the server looked at its certificate (RFC
8446, section 4.4.2): that it was refused shows at the first read, as an alert. A server that does
not speak TLS answers with something else, and a port that is no strew port with anything.
"""

import ssl

from strew.errors import DeniedError, PeerError, UnavailableError

_ALERTS = {
    "ALERT_UNKNOWN_CA": ("it does not know the CA of this certificate", "are both of one CA?"),
    "ALERT_CERTIFICATE_EXPIRED": ("this certificate has expired", "renew it: strew key issue"),
    "ALERT_CERTIFICATE_REQUIRED": (
        "it wants a certificate",
        "give --profile strict with --tls-ca, --tls-cert and --tls-key",
    ),
    "ALERT_BAD_CERTIFICATE": ("it does not accept this certificate", "issue a new one"),
    "ALERT_UNSUPPORTED_CERTIFICATE": (
        "this certificate is not for TLS clients",
        "issue it with both purposes (serverAuth and clientAuth)",
    ),
    "ALERT_ACCESS_DENIED": ("this certificate speaks for nobody there", "issue one per node"),
    "ALERT_PROTOCOL_VERSION": ("it does not speak TLS 1.3", "both ends need it"),
}
"""What the other side says of us: parts of OpenSSL's names of alerts, whatever their prefix."""

_PLAIN = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
"""What comes is no TLS record at all."""


def refusal(error: BaseException, whence: str) -> PeerError | None:
    """What an exception from a connection means, if TLS is behind it; `whence` names the other
    side. Looks at the causes too: aiohttp wraps what it gets."""
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            return None
        seen = getattr(seen, "certificate_error", seen)  # aiohttp's has the true one in it
        if isinstance(seen, ssl.SSLCertVerificationError):
            return _not_verified(seen, whence)
        text = " ".join(map(str, seen.args)) if isinstance(seen, OSError) else ""
        if isinstance(seen, ssl.SSLError) or "SSL" in text:
            return _told(text, whence)
        seen = seen.__cause__ or seen.__context__
    return None


def _not_verified(error: ssl.SSLCertVerificationError, whence: str) -> PeerError:
    """It is we who refuse."""
    reason = (error.verify_message or "not verified").rstrip(".")
    hint = "is it of this fleet, and was its certificate renewed?"
    if "mismatch" in reason or "not valid for" in reason:
        hint = "issue its certificate with --host for the address that is dialled"
    return DeniedError(f"{whence}: its certificate is refused: {reason}", hint=hint)


def _told(text: str, whence: str) -> PeerError:
    for part, (reason, hint) in _ALERTS.items():
        if part in text:
            return DeniedError(f"{whence} refused: {reason}", hint=hint)
    if any(part in text for part in _PLAIN):
        return DeniedError(
            f"{whence} does not speak TLS: it is of another profile",
            hint="all processes of a fleet have the same --profile",
        )
    return UnavailableError(f"{whence}: TLS failed: {text[:160]}", hint="try again")
