"""Which keys this node provides, and when each must be announced again.

A record at another node runs out after half an hour, so each key is announced at half of that. A
node that joined a short while ago waits only as long as it has been there: in a fleet that starts
all at once, those that seem nearest to a key at first are not those that will be asked for it.

A key whose announce is under way is not due again before it ended.
"""

import random
from dataclasses import dataclass, field

from strew.dht.contact import Key
from strew.dht.providers import EXPIRY_S

REPUBLISH_S = EXPIRY_S / 2
"""How often a provider announces itself: one announce may be lost, and no record runs out."""

REPUBLISH_FIRST_S = 30.0
"""Least time until it does so again: after this it is tried anew when nobody took the announce."""

PROVIDED_MAX = 4096
"""Keys this node provides; further ones are not published. Each costs about 12 kB in 15 minutes."""

_JITTER_RATIO = 0.1
"""Waits are shortened by up to this, so that keys provided together drift apart."""


@dataclass(slots=True)
class Publishing:
    """Provided keys. `ports` says where each is served, `kept_by` how many nodes keep its record
    since the last announce."""

    dice: random.Random
    ports: dict[Key, int] = field(default_factory=dict, init=False)
    kept_by: dict[Key, int] = field(default_factory=dict, init=False)
    _due_s: dict[Key, float] = field(default_factory=dict, init=False)
    """Without those that are under way."""

    def provide(self, key: Key, port: int, now: float) -> None:
        """Keep a key published at a port; it is due now unless that was so already."""
        if key not in self.ports and len(self.ports) >= PROVIDED_MAX:
            return
        if self.ports.get(key) != port:
            self.ports[key] = port
            self._due_s[key] = now

    def withdraw(self, key: Key) -> None:
        """Do not announce a key any more."""
        self.ports.pop(key, None)
        self.kept_by.pop(key, None)
        self._due_s.pop(key, None)

    def take_due(self, now: float) -> list[Key]:
        """The keys to announce now; each must be followed by `announced` if still provided."""
        due = [key for key, due_s in self._due_s.items() if due_s <= now]
        for key in due:
            del self._due_s[key]
        return due

    def announced(self, key: Key, kept_by: int, age_s: float, now: float) -> None:
        """An announce of a provided key ended; it went to `kept_by` nodes. `age_s` is how long this
        node has been in the table."""
        self.kept_by[key] = kept_by
        wait_s = min(REPUBLISH_S, max(REPUBLISH_FIRST_S, age_s if kept_by else 0.0))
        self._due_s[key] = now + wait_s * self.dice.uniform(1.0 - _JITTER_RATIO, 1.0)
