"""Where a referral (strew.announce.referral) points in HTTP: 307, its Location on another machine.

Whoever can be asked in turn says so by `?port=N`; nobody else is referred. The other machine is
asked for what it holds itself: it does not refer, so that one step is all there is. One end writes
what the other reads, so both stand here; clients need nothing of a server for it.
"""

import re

from strew.announce.address import is_dialable
from strew.content.reference import Address
from strew.errors import ProtocolError

HELD = "held"
"""In the query for a manifest: that of others is not wanted."""

PORT = "port"
"""In a query: the port at which the caller can be asked in turn."""

REFERRED = 307

_LOCATION = re.compile(r"//(?:\[([0-9a-fA-F:.]{2,45})\]|([0-9.]{7,15})):([0-9]{1,5})/", re.ASCII)


class Referral(ProtocolError):
    """Another machine is to be asked: a fault where the question did not offer that."""

    def __init__(self, whence: str, address: Address) -> None:
        super().__init__(f"{whence} answered {REFERRED} and refers to {address}")
        self.address = address


def location_of(address: Address, path: str) -> str:
    """The Location that refers to `address`, on the way by which it was asked: TLS or not."""
    return f"//{address}{path}?{HELD}=1"


def referral_in(location: str, whence: str) -> ProtocolError:
    """What a Location means: a Referral, of which only the address is taken, else a fault."""
    match = _LOCATION.match(location)
    if match is not None:
        host, port = match[1] or match[2], int(match[3])
        if is_dialable(host) and 0 < port < 65536:
            return Referral(whence, Address(host, port))
    told = f"{whence} answered {REFERRED} and refers to {location[:80]!a}"
    return ProtocolError(f"{told}, which is no machine's address")
