"""Sealed datagrams: secret from outsiders, proof of membership, taken once.

    label (1) | sender (16) | counter (8, big-endian) | ciphertext | authentication tag (16)

Theory of operation. Each process draws 16 random bytes at its start, its *sender*, and counts what
it seals. AES-256-GCM (NIST SP 800-38D) must never meet the same nonce under the same key, and a
thousand processes that hold one fleet key cannot agree on nonces. So they need not: each seals
with a key of its own, proof("datagram", sender), under which its counter is the nonce. Whoever
holds the fleet key derives the same from the first bytes of the datagram. That two processes ever
draw the same sender is as likely as SP 800-38D (section 8.3) allows a nonce to repeat, 2^-32,
after 2^48 starts.

Everything in front of the ciphertext is associated data: a datagram of gossip does not pass for
one of the distributed hash table.

A sender is remembered once a datagram has proved the key, not before: its derived key, and a
window of the counters that came (RFC 6479), so that nothing is taken twice and the order need not
hold. Senders are bounded, those silent for longest go first. The window begins with the first
datagram heard: what somebody on the path recorded can be played once to a node that did not hear
of its sender yet, or forgot it. What travels in datagrams must therefore be harmless when it comes
late, twice, or from another address: hints, with their own incarnations, versions and transactions.
"""

from __future__ import annotations

import secrets
import struct
from enum import StrEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strew.fleet import FleetKey

DATAGRAM_BYTES_MAX = 1400
"""Longest datagram sent, and longest sealed one taken. With 28 bytes of UDP and IP (48 over IPv6)
it fits a frame of 1500 also inside one more tunnel. Higher: fragments, of which the loss of one
loses all; lower: fewer rumours for the same headers."""

SENDER_BYTES = 16
"""8 would repeat with a chance of 2^-32 after 2^16 starts, which large fleets reach."""

_HEADER = struct.Struct(f">B{SENDER_BYTES}sQ")
_NONCE = struct.Struct(">4xQ")

SEAL_BYTES = _HEADER.size + 16
"""What sealing adds to a message: 41 bytes."""

MESSAGE_BYTES_MAX = DATAGRAM_BYTES_MAX - SEAL_BYTES
"""Longest message that can be sealed: 1359 bytes."""

WINDOW = 1024
"""Counters below the highest in which order does not matter. A sender counts over all its
receivers: at `SENDER_PER_S` this is a second. Lower: what overtook another in the network is taken
for a replay; higher: a longer number to shift."""

_WINDOW_BITS = (1 << WINDOW) - 1

SENDERS_MAX = 32_768
"""Processes remembered: the 20,000 members of the largest fleet, and restarts of them. About 0.4
kB each. Lower: in a larger fleet a recorded datagram may be played again; higher: memory."""

SENDER_PER_S = 1000
"""Datagrams a second taken from one process that proved the key, and as many at once after a
pause. Members send each other a few; so many cost one or two hundredths of a core. Lower: the
bursts of a lookup in a small fleet are lost; higher: a broken member costs more."""


class Fault(StrEnum):
    """Why a datagram was not taken, or not sent."""

    LENGTH = "length"
    """Too short to be sealed, or longer than `DATAGRAM_BYTES_MAX`."""
    LABEL = "label"
    """Nothing here speaks what its first byte says."""
    TAG = "tag"
    """Of another fleet, damaged, or forged."""
    REPLAY = "replay"
    """Came before, is older than the window, or is one's own."""
    FLOOD = "flood"
    """Its source or sender sent too many."""
    MALFORMED = "malformed"
    """What was in it breaks a rule of its kind."""
    ADDRESS = "address"
    """Not sent: that is no machine's address."""
    QUEUE = "queue"
    """Not sent: too much waits to leave."""


class Budget:
    """How many datagrams a second may come; it saves up one second's worth."""

    __slots__ = ("_at_s", "_left", "_per_s")

    def __init__(self, per_s: float, now: float) -> None:
        self._per_s = per_s
        self._left = per_s
        self._at_s = now

    def take(self, now: float) -> bool:
        """Count one; False if it is one too many."""
        self._left = min(self._per_s, self._left + (now - self._at_s) * self._per_s)
        self._at_s = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Window:
    """Which counters of one sender came (RFC 6479): the highest, and a bit for each below it."""

    __slots__ = ("_came", "_highest")

    def __init__(self) -> None:
        self._highest = -1
        self._came = 0

    def is_new(self, counter: int) -> bool:
        """Whether it did not come yet, as far as is remembered."""
        behind = self._highest - counter
        return behind < 0 or (behind < WINDOW and not self._came >> behind & 1)

    def add(self, counter: int) -> None:
        """Remember that it came. Only for one that is new, and was proved: else whoever invents a
        high counter shuts out all that follow."""
        behind = self._highest - counter
        if behind >= 0:
            self._came |= 1 << behind
            return
        ahead = -behind
        self._came = ((self._came << ahead) & _WINDOW_BITS) | 1 if ahead < WINDOW else 1
        self._highest = counter


class Sender:
    """A process that proved the key. Its cipher is made anew for each datagram: that costs a
    microsecond, and keeping it 2.5 kB."""

    __slots__ = ("budget", "key", "window")

    def __init__(self, key: bytes, now: float) -> None:
        self.key = key
        self.window = Window()
        self.budget = Budget(SENDER_PER_S, now)


class Seal:
    """Seals as one sender, which it draws itself; opens what any other process of the fleet sealed.

    There must be one for each process: a copy would seal under the same nonces.
    """

    def __init__(self, key: FleetKey) -> None:
        self._fleet_key = key
        self._own = secrets.token_bytes(SENDER_BYTES)
        self._cipher = AESGCM(self._key_of(self._own))
        self._counter = 0
        self._senders: dict[bytes, Sender] = {}

    def _key_of(self, sender: bytes) -> bytes:
        return self._fleet_key.proof(b"datagram", sender)

    @property
    def sender_count(self) -> int:
        """How many other processes are remembered."""
        return len(self._senders)

    def seal(self, label: int, message: bytes) -> bytes:
        """The datagram that carries `message`, which must have at most `MESSAGE_BYTES_MAX`."""
        assert len(message) <= MESSAGE_BYTES_MAX, f"a message of {len(message)} bytes"
        counter = self._counter
        self._counter = counter + 1
        header = _HEADER.pack(label, self._own, counter)
        return header + self._cipher.encrypt(_NONCE.pack(counter), message, header)

    def knows(self, datagram: bytes) -> bool:
        """Whether it says to be from a process that proved the key before. Proves nothing."""
        return datagram[1 : 1 + SENDER_BYTES] in self._senders

    def open(self, datagram: bytes, now: float) -> bytes | Fault:
        """The message in a datagram, or why it is not taken. `now` is in seconds."""
        if not SEAL_BYTES <= len(datagram) <= DATAGRAM_BYTES_MAX:
            return Fault.LENGTH
        header = datagram[: _HEADER.size]
        _, name, counter = _HEADER.unpack(header)
        if name == self._own:
            return Fault.REPLAY
        sender = self._senders.get(name)
        if sender is None:
            sender = Sender(self._key_of(name), now)
        if not sender.window.is_new(counter):
            return Fault.REPLAY
        try:
            message = AESGCM(sender.key).decrypt(
                _NONCE.pack(counter), datagram[_HEADER.size :], header
            )
        except InvalidTag:
            return Fault.TAG
        sender.window.add(counter)
        self._remember(name, sender)
        return message if sender.budget.take(now) else Fault.FLOOD

    def _remember(self, name: bytes, sender: Sender) -> None:
        """Put a sender that just proved itself last in the row of those to be forgotten."""
        self._senders.pop(name, None)
        self._senders[name] = sender
        if len(self._senders) > SENDERS_MAX:
            del self._senders[next(iter(self._senders))]
