"""What a node keeps for others: who provides which key, and who may say so.

A record is an address under a key. It holds for half an hour (the practice of BEP 5) and is renewed
by its owner twice in that time. Only the address a datagram came from can be recorded, and only
with a token that was sent to that address a short while ago: so nobody can make a node send fleets
of askers to a machine that never asked for it.

A token is a keyed BLAKE3 of the asker's host under a secret drawn from the dice that are passed in
(a real node passes unpredictable ones). Nothing is remembered for a token that was given.
"""

import random
from dataclasses import dataclass, field
from hmac import compare_digest

from blake3 import blake3

from strew.dht.contact import Address, Key

EXPIRY_S = 1800.0
"""A record that was not renewed for so long is forgotten. Lower: owners must publish more often;
higher: machines that are gone are named for longer."""

KEY_PROVIDERS_MAX = 1000
"""Records of one key; the one renewed longest ago makes room. An answer holds 50 at most, so more
would only make the sample less fresh."""

PROVIDERS_MAX = 100_000
"""Records of one node, about 20 MB. Beyond it new ones are refused until others expire."""

HOST_PROVIDERS_MAX = 64
"""Records of one host under one key, so that one machine cannot push all others out. As many nodes
as a test runs on one machine."""

SECRET_S = 300.0
"""Age at which the secret is changed. The one before stays valid: a token is good for 5 to 10
minutes (BEP 5), which is ample for the announce that follows a lookup."""

TOKEN_BYTES = 8
"""Length of a token: 2^64 guesses, at one datagram each."""

_SECRET_BITS = 256


@dataclass(slots=True)
class Providers:
    """Records by key, in order of renewal, each with the time at which it ends."""

    dice: random.Random
    _records: dict[Key, dict[Address, float]] = field(default_factory=dict, init=False)
    _count: int = field(default=0, init=False)
    _secrets: tuple[bytes, bytes] | None = field(default=None, init=False)
    """The current one and the one before."""
    _secret_since_s: float = field(default=0.0, init=False)

    def __len__(self) -> int:
        """Records under all keys."""
        return self._count

    @property
    def keys(self) -> int:
        """Keys with at least one record."""
        return len(self._records)

    def token(self, host: str, now: float) -> bytes:
        """What `host` must show to announce itself."""
        current, _ = self._rotated(now)
        return _token(current, host)

    def proves(self, token: bytes, host: str, now: float) -> bool:
        """Whether `token` was given to `host` within the last 5 to 10 minutes."""
        return any(compare_digest(token, _token(s, host)) for s in self._rotated(now))

    def add(self, key: Key, address: Address, now: float) -> bool:
        """Record or renew a provider; False if there is no place for it."""
        self.expire(key, now)
        records = self._records.get(key, {})
        if records.pop(address, None) is None:
            if self._count >= PROVIDERS_MAX:
                return False
            if len(records) >= HOST_PROVIDERS_MAX:
                mine = [other for other in records if other[0] == address[0]]
                if len(mine) >= HOST_PROVIDERS_MAX:
                    return False
            if len(records) >= KEY_PROVIDERS_MAX:
                del records[next(iter(records))]
                self._count -= 1
            self._count += 1
        records[address] = now + EXPIRY_S
        self._records[key] = records
        return True

    def sample(self, key: Key, count: int, now: float) -> tuple[Address, ...]:
        """Up to `count` providers of a key, each as likely as any other."""
        self.expire(key, now)
        addresses = list(self._records.get(key, ()))
        if len(addresses) > count:
            addresses = self.dice.sample(addresses, count)
        return tuple(addresses)

    def expire_all(self, now: float) -> None:
        """Drop every record that was not renewed in time."""
        for key in list(self._records):
            self.expire(key, now)

    def expire(self, key: Key, now: float) -> None:
        """Drop the records of one key that were not renewed in time."""
        records = self._records.get(key)
        if records is None:
            return
        for address in list(records):
            if records[address] > now:
                break
            del records[address]
            self._count -= 1
        if not records:
            del self._records[key]

    def _rotated(self, now: float) -> tuple[bytes, bytes]:
        """The secrets of this moment."""
        age_s = now - self._secret_since_s
        if self._secrets is None or age_s >= 2 * SECRET_S:
            self._secrets = (self._drawn(), self._drawn())
            self._secret_since_s = now
        elif age_s >= SECRET_S:
            self._secrets = (self._drawn(), self._secrets[0])
            self._secret_since_s = now
        return self._secrets

    def _drawn(self) -> bytes:
        return self.dice.getrandbits(_SECRET_BITS).to_bytes(_SECRET_BITS // 8, "big")


def _token(secret: bytes, host: str) -> bytes:
    return blake3(host.encode(), key=secret).digest(TOKEN_BYTES)
