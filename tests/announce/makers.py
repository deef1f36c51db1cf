"""Short ways to write nodes, artifacts and announces in tests of the announce."""

from strew.announce.allowance import full_allowance
from strew.announce.protocol import Announce, Holding, Peer
from strew.announce.records import ArtifactFacts, NodeRecord, TrackedHolding
from strew.content.digest import ArtifactId, artifact_id_of
from strew.messages import PeerId
from strew.publication import Publication


def peer_id(number: int) -> PeerId:
    return PeerId(f"{number:032x}")


def artifact_id(text: str) -> ArtifactId:
    return artifact_id_of(text.encode())


def facts(text: str, *, chunk_count: int = 4, added_s: float = 0.0) -> ArtifactFacts:
    """Facts of the artifact whose manifest's bytes are `text`."""
    return ArtifactFacts(
        artifact=artifact_id(text),
        name=text,
        is_tree=False,
        size_bytes=chunk_count * 100,
        chunk_count=chunk_count,
        manifest_bytes=len(text),
        added_s=added_s,
    )


def holding(text: str, have: int, *, of: int = 4, origin: bool = False, sent: int = 0) -> Holding:
    return Holding(
        artifact=artifact_id(text),
        have_chunks=have,
        chunk_count=of,
        state="seeding" if have == of else "fetching",
        origin=origin,
        received_bytes=0 if origin else have * 100,
        sent_bytes=sent,
    )


def announce(number: int, *holdings: Holding, **fields: object) -> Announce:
    """An announce of node `number`, which listens on port 7000 + number."""
    values: dict[str, object] = {"port": 7000 + number, **fields}
    return Announce(node=peer_id(number), holdings=holdings, **values)  # type: ignore[arg-type]


def publication(text: str, version: int, *, tag: str = "v1") -> Publication:
    return Publication(
        reference=f"{text}:{tag}",
        artifact=artifact_id(text),
        version=version,
        size_bytes=400,
        chunk_count=4,
        published_s=version / 1000,
        name=text,
    )


def record(
    number: int, *holdings: Holding, zone: str = "", lease_until_s: float = 1e9, **fields: object
) -> NodeRecord:
    tracked = {h.artifact: TrackedHolding(h) for h in holdings}
    values: dict[str, object] = {
        "peer": Peer(peer_id(number), f"10.0.0.{number % 250 + 1}", 7000 + number, zone),
        "follows": (),
        "holdings": tracked,
        "wants": (),
        "swarms": frozenset(tracked),
        "seen": 0,
        "since_s": 0.0,
        "heard_s": 0.0,
        "lease_until_s": lease_until_s,
        "allowance": full_allowance(0.0),
        **fields,
    }
    return NodeRecord(**values)  # type: ignore[arg-type]
