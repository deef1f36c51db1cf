"""Short ways to write members, publications and holdings in tests of gossip."""

from strew.content.digest import ArtifactId, artifact_id_of
from strew.gossip.protocol import Held, Holder, Member, MemberState, Named
from strew.messages import PeerId
from strew.publication import HoldingState, Publication

PORT = 7301


def peer_id(number: int) -> PeerId:
    return PeerId(f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128):032x}")


def host(number: int) -> str:
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def member(
    number: int,
    incarnation: int = 1000,
    state: MemberState = MemberState.ALIVE,
    by: str = "",
    zone: str = "",
) -> Member:
    """Member `number`, which listens at an address of its own."""
    return Member(
        peer_id(number), host(number), PORT, zone, ("*",), incarnation, state, by and str(by)
    )


def suspect(number: int, by: int, incarnation: int = 1000) -> Member:
    return member(number, incarnation, MemberState.SUSPECT, peer_id(by))


def dead(number: int, incarnation: int = 1000, by: int = 99) -> Member:
    return member(number, incarnation, MemberState.DEAD, peer_id(by))


def artifact_id(text: str) -> ArtifactId:
    return artifact_id_of(text.encode())


def publication(
    text: str = "app:v1", version: int = 1_000_000, *, artifact: str = "one", name: str = "app.tar"
) -> Publication:
    return Publication(
        reference=text,
        artifact=artifact_id(artifact),
        version=version,
        size_bytes=400,
        chunk_count=4,
        published_s=version / 1000,
        name=name,
    )


def holder(number: int) -> Holder:
    return Holder(peer_id(number), host(number), PORT)


def told(
    text: str = "app:v1", version: int = 1_000_000, *, artifact: str = "one", by: int = 1
) -> Named:
    """A publication by node `by`."""
    return Named(publication(text, version, artifact=artifact), (holder(by),))


def held(number: int, swarm: int = 7, have: int = 1, *, of: int = 4, sequence: int = 1) -> Held:
    state: HoldingState = "seeding" if have == of else "fetching"
    return Held(peer_id(number), swarm, have, of, b"12345678", sequence, state)
