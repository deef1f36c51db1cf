"""Short ways to write keys and signed names in tests of trust."""

from strew.publication import Publication
from strew.trust.keys import SigningKey
from strew.trust.record import signed
from tests.gossip.makers import publication

YEAR_S = 365 * 86_400.0


def key(number: int) -> SigningKey:
    return SigningKey(bytes([number]) * 32)


ALICE, BOB, MALLORY, MEMBER = map(key, range(1, 5))


def record(
    reference: str = "app:v1",
    version: int = 1_000_000,
    *,
    by: tuple[SigningKey, ...] = (ALICE,),
    artifact: str = "one",
) -> Publication:
    """A name as these keys sign it."""
    return signed(publication(reference, version, artifact=artifact), by, version / 1000 + YEAR_S)
