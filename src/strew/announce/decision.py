"""What a tracker's registry answers: a reply, the writes it needs, and what moved."""

from dataclasses import dataclass
from typing import Literal

from strew.announce.protocol import Handout
from strew.announce.records import Write
from strew.content.digest import ArtifactId
from strew.publication import Publication


@dataclass(frozen=True, slots=True)
class Refused:
    """No, with the reason. `limited`: too often, come back after `retry_after_s`. `denied`: not
    yours. `conflict`: not now, in the present state. `invalid`: the message breaks a rule."""

    kind: Literal["limited", "denied", "conflict", "invalid"]
    message: str
    hint: str = ""
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What to answer and what to write. `moved` are swarms whose members or progress changed."""

    reply: Handout | Publication | Refused | None
    writes: tuple[Write, ...] = ()
    moved: frozenset[ArtifactId] = frozenset()
