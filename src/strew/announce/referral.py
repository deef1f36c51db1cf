"""Referrals: who gives a manifest to whom, while many ask one machine for it at once.

A manifest of 1900 chunks has 68 kB: 32 machines that fetch it from whoever publishes keep that
uplink busy for 1.6 % of the time that a file of 128 MiB takes, and until then it gives no chunk. So
of a flash crowd only the first few are answered, as long as that takes time; everybody else is told
to ask one that came earlier, which answers as soon as it can. That makes a tree in the order of
coming.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from strew.content.digest import ArtifactId

ANSWERED_MAX = 2
"""Answers under way from one machine, and callers referred to each that came earlier. Lower: the
last of a crowd waits longer; higher: uplinks give manifests."""

TURN_WITHIN_S = 0.005
"""For so long a caller waits for its turn, before it is referred: over a quick link dozens are
answered in that time, and to ask another machine takes as long. Higher: a crowd on a slow link
begins that much later."""

TURN_LOOK_S = 0.001
"""How often whoever is asked looks whether a turn has come."""

CROWD_S = 1.0
"""Who comes so long after the first of a crowd is the first of another: those before have it, and
what it costs to answer two more is little."""

CROWD_MAX = 4096
"""Callers of one crowd that are remembered; the next one begins another. Lower: of a large crowd
more are answered here; higher: memory, 0.3 kB for each."""

CROWDS_MAX = 64
"""Crowds remembered, of one artifact each; the oldest is forgotten, and its callers begin anew."""

REFERRED_BYTES_MIN = 8 << 10
"""Smaller manifests are given to everybody: they take no longer than a second connection."""

REFERRED_WITHIN_S = 1.0
"""Whoever hears nothing for so long from the machine it was referred to asks the first one again,
and is answered. Lower: a busy machine is given up; higher: a dead one is waited for."""

Caller = tuple[str, int]
"""Address and port at which a caller can be asked in turn."""

Verdict = Literal["answer", "later"] | Caller
"""Answer here, look again after TURN_LOOK_S, or refer to this one."""


@dataclass(slots=True)
class _Crowd:
    """Those who asked for one artifact since `began_s`, in the order in which they came, and each
    one's place in it with the time until which it waits for its turn."""

    began_s: float
    callers: list[Caller] = field(default_factory=list)
    places: dict[Caller, tuple[int, float]] = field(default_factory=dict)
    referred: set[Caller] = field(default_factory=set)


class Referrals:
    """One machine's verdicts on those who ask it for manifests."""

    def __init__(self) -> None:
        self._crowds: dict[ArtifactId, _Crowd] = {}

    def ask(self, artifact: ArtifactId, caller: Caller, under_way: int, now: float) -> Verdict:
        """What to do for a caller, while so many answers have not left yet. Who was referred, and
        asks again, is answered."""
        crowd = self._crowd(artifact, now)
        place, turn_by_s = crowd.places.get(caller, (len(crowd.callers), now + TURN_WITHIN_S))
        if place == len(crowd.callers):
            crowd.callers.append(caller)
            crowd.places[caller] = place, turn_by_s
        if under_way < ANSWERED_MAX or place < ANSWERED_MAX or caller in crowd.referred:
            return "answer"
        if now < turn_by_s:
            return "later"
        crowd.referred.add(caller)
        return crowd.callers[place // ANSWERED_MAX - 1]

    def _crowd(self, artifact: ArtifactId, now: float) -> _Crowd:
        """The one that a caller belongs to."""
        crowd = self._crowds.get(artifact)
        if crowd is None or now >= crowd.began_s + CROWD_S or len(crowd.callers) >= CROWD_MAX:
            self._crowds.pop(artifact, None)
            while len(self._crowds) >= CROWDS_MAX:
                del self._crowds[next(iter(self._crowds))]
            crowd = self._crowds[artifact] = _Crowd(now)
        return crowd
