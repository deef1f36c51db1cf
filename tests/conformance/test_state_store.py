"""What every StateStore must do. A backend joins by a line in BACKENDS."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from strew.announce.records import Dealt, DropNode, Enrol, PutNode, PutPublication
from strew.errors import DeniedError
from strew.tracker import state as state_module
from strew.tracker.sqlite import SqliteState
from strew.tracker.state import MemoryState, StateStore
from tests.announce.makers import artifact_id, facts, holding, peer_id, publication, record

BACKENDS: dict[str, Callable[[Path], StateStore]] = {
    "memory": lambda folder: MemoryState(),
    "sqlite": lambda folder: SqliteState(folder / "tracker.db"),
}

APP = artifact_id("app")


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    state = BACKENDS[request.param](tmp_path)
    yield state
    state.close()


def candidates(store: StateStore, zone: str = "", limit: int = 100) -> set[tuple[str, bool, int]]:
    found = store.candidates(APP, zone, limit, random.Random(1))
    assert len({c.peer.id for c in found}) == len(found)
    return {(c.peer.id, c.complete, c.handed) for c in found}


class TestCatalogue:
    def test_a_manifest_comes_back_and_is_kept_once(self, store: StateStore) -> None:
        assert store.put_manifest(facts("app"), b"app")
        assert not store.put_manifest(facts("app", added_s=9.0), b"app")
        assert store.manifest(APP) == b"app"
        assert store.facts(APP) == facts("app")
        assert store.artifacts() == [facts("app")]

    def test_what_is_not_there_is_none(self, store: StateStore) -> None:
        assert store.manifest(APP) is None
        assert store.facts(APP) is None
        assert store.publication("app:v1") is None
        assert store.publications() == []
        assert store.last_version() == 0

    def test_a_name_moves_to_the_later_artifact(self, store: StateStore) -> None:
        old = publication("app", 5)
        new = msgspec.structs.replace(publication("app", 7), artifact=artifact_id("new"))
        store.apply([PutPublication(old)])
        store.apply([PutPublication(publication("other", 6))])
        store.apply([PutPublication(new)])
        assert store.publication("app:v1") == new
        assert store.publications() == [publication("other", 6), new]
        assert store.names_of(APP) == []
        assert store.names_of(new.artifact) == [new]
        assert store.last_version() == 7

    def test_publications_come_in_order_after_a_version(self, store: StateStore) -> None:
        all_ = [publication("app", n, tag=f"v{n}") for n in range(1, 11)]
        store.apply([PutPublication(p) for p in all_])
        assert store.publications_since(0, 100) == all_
        assert store.publications_since(4, 3) == all_[4:7]
        assert store.publications_since(10, 100) == []

    def test_only_what_nobody_names_holds_or_just_brought_is_pruned(
        self, store: StateStore
    ) -> None:
        for text, added_s in (("app", 1.0), ("named", 1.0), ("held", 1.0), ("young", 99.0)):
            store.put_manifest(facts(text, added_s=added_s), text.encode())
        store.apply(
            [PutPublication(publication("named", 1)), PutNode(record(1, holding("held", 4)))]
        )
        assert store.prune(50.0) == [APP]
        assert store.manifest(APP) is None
        assert {f.name for f in store.artifacts()} == {"named", "held", "young"}
        assert store.put_manifest(facts("app"), b"app")

    def test_over_the_limit_only_the_unneeded_makes_room(
        self, store: StateStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(state_module, "ARTIFACTS_MAX", 1)
        store.put_manifest(facts("old"), b"old")
        store.put_manifest(facts("app"), b"app")
        assert store.artifacts() == [facts("app")]
        store.apply([PutPublication(publication("app", 1))])
        with pytest.raises(DeniedError, match="artifacts"):
            store.put_manifest(facts("more"), b"more")

    def test_names_have_a_limit_and_moving_one_is_free(
        self, store: StateStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(state_module, "REFERENCES_MAX", 1)
        store.apply([PutPublication(publication("app", 1))])
        store.apply([PutPublication(publication("app", 2))])
        with pytest.raises(DeniedError, match="names"):
            store.apply([PutPublication(publication("more", 3))])
        assert store.last_version() == 2


class TestLeases:
    def test_a_record_comes_back_and_goes(self, store: StateStore) -> None:
        store.apply([PutNode(record(1))])
        assert store.node(peer_id(1)) == record(1)
        assert list(store.nodes()) == [record(1)]
        store.apply([DropNode(peer_id(1)), DropNode(peer_id(2))])
        assert store.node(peer_id(1)) is None
        assert store.node_count() == 0

    def test_expired_names_those_whose_lease_ended_until_they_are_dropped(
        self, store: StateStore
    ) -> None:
        store.apply([PutNode(record(n, lease_until_s=10.0 * n)) for n in (1, 2, 3)])
        assert store.expired(10.0) == []
        assert store.expired(25.0) == [peer_id(1), peer_id(2)]
        assert store.expired(25.0) == [peer_id(1), peer_id(2)]
        store.apply([PutNode(record(1, lease_until_s=50.0)), DropNode(peer_id(2))])
        assert store.expired(35.0) == [peer_id(3)]
        store.apply([DropNode(peer_id(3))])
        assert store.expired(60.0) == [peer_id(1)]

    def test_members_are_candidates_until_they_leave(self, store: StateStore) -> None:
        store.apply([PutNode(record(1, holding("app", 4))), PutNode(record(2, holding("app", 1)))])
        assert candidates(store) == {(peer_id(1), True, 0), (peer_id(2), False, 0)}
        assert store.has_complete(APP)
        store.apply([PutNode(record(1)), PutNode(record(2, holding("app", 4)))])
        assert candidates(store) == {(peer_id(2), True, 0)}
        store.apply([DropNode(peer_id(2))])
        assert candidates(store) == set()
        assert not store.has_complete(APP)

    def test_the_enrolled_are_members_and_the_unknown_are_passed_over(
        self, store: StateStore
    ) -> None:
        store.apply([PutNode(record(1))])
        store.apply([Enrol(APP, (peer_id(1), peer_id(9)))])
        assert candidates(store) == {(peer_id(1), False, 0)}
        store.apply([PutNode(record(1))])
        assert candidates(store) == set()

    def test_what_is_dealt_is_counted(self, store: StateStore) -> None:
        store.apply([PutNode(record(n, holding("app", 1))) for n in (1, 2)])
        store.apply([Dealt(APP, (peer_id(1), peer_id(9))), Dealt(APP, (peer_id(1),))])
        assert candidates(store) == {(peer_id(1), False, 2), (peer_id(2), False, 0)}
        store.apply([PutNode(record(1, holding("app", 2)))])
        assert (peer_id(1), False, 2) in candidates(store)

    def test_a_sample_has_near_ones_and_holders(self, store: StateStore) -> None:
        far = [PutNode(record(n, holding("app", 1), zone="far")) for n in range(1, 101)]
        near = [PutNode(record(n, holding("app", 1), zone="near")) for n in range(101, 104)]
        full = [PutNode(record(n, holding("app", 4), zone="far")) for n in range(104, 106)]
        store.apply([*far, *near, *full])
        drawn = candidates(store, "near", 10)
        assert 10 <= len(drawn) <= 15
        assert {peer_id(n) for n in range(101, 106)} <= {peer for peer, _, _ in drawn}

    def test_a_node_may_move_to_another_zone(self, store: StateStore) -> None:
        others = [PutNode(record(n, holding("app", 1), zone="a")) for n in range(2, 50)]
        store.apply([*others, PutNode(record(1, holding("app", 1), zone="a"))])
        store.apply([PutNode(record(1, holding("app", 1), zone="b"))])
        assert peer_id(1) in {peer for peer, _, _ in candidates(store, "b", 1)}
        store.apply([DropNode(peer_id(1))])
        assert len(candidates(store)) == 48


def test_manifests_may_come_from_other_threads_while_nodes_announce(store: StateStore) -> None:
    texts = [f"file{n}" for n in range(40)]
    with ThreadPoolExecutor(4) as threads:
        putting = [threads.submit(store.put_manifest, facts(t), t.encode()) for t in texts]
        for number in range(200):
            store.apply([PutNode(record(number % 7, holding("app", number % 5)))])
            if number % 10 == 0:
                store.apply([PutPublication(publication("app", number + 1))])
        assert all(done.result() for done in putting)
    assert sorted(f.name for f in store.artifacts()) == sorted(texts)
    assert all(store.manifest(artifact_id(t)) == t.encode() for t in texts)
    assert store.last_version() == 191 and store.node_count() == 7
