"""What lying trackers, old records and stolen keys can do to nodes that trust by key: nothing."""

import asyncio
import dataclasses
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from strew.announce.records import PutPublication
from strew.content.digest import ArtifactId
from strew.publication import Publication, Signature
from strew.trust.keys import PublicKey
from tests.announce.makers import facts
from tests.cli.processes import Done, until
from tests.gossip.makers import publication
from tests.members import Members, Process, make_file
from tests.tracker.served import KEY, Served, manifest, served
from tests.trees import same_bytes

pytestmark = pytest.mark.faults

SIZE_BYTES = 300_000
SLOW_BYTES = 24_000_000
RATE = "6M"
"""A slow transfer takes 4 s: long enough to change keys in the middle of it."""

WITHIN_S = 20.0
CHANGED_WITHIN_S = 2.0
"""The promise: a running process goes by a change of its keys so soon."""


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Members]:
    (tmp_path / "fleet").mkdir()
    with Members(tmp_path / "fleet") as fleet:
        yield fleet


def ok(done: Done) -> dict[str, object]:
    assert done.code == 0, done.out + done.err
    return done.final


def key_of(serve: Process) -> str:
    """The public key that a `strew serve` signs with."""
    return str(serve.running.event("listening")["publisher"])


def refused(process: Process, reason: str) -> float:
    """How many names a process did not believe, of one kind."""
    for line in process.api.bytes("/metrics").decode().splitlines():
        if line.startswith(f'strew_names_refused_total{{reason="{reason}"}}'):
            return float(line.rpartition(" ")[2])
    return 0.0


def refuses(process: Process, reason: str, count: int = 1) -> None:
    what = f"{process.name} to refuse {count} names as {reason}"
    until(lambda: refused(process, reason) >= count, what, WITHIN_S)


def took_nothing(process: Process) -> bool:
    """Whether a process began no fetch in this life."""
    return not [event for event in process.running.events if event["type"] == "transfer"]


# --- trackers that lie ---------------------------------------------------------------------------


def test_a_tracker_of_the_fleet_with_another_publishers_key_gives_nodes_nothing(
    fleet: Members, tmp_path: Path
) -> None:
    """It holds the fleet key, gossips, and serves chunks like any origin."""
    serve = fleet.tracker("serve")
    traitor = fleet.tracker("traitor")
    by = [serve.at, traitor.at]
    one = fleet.member("one", "--trust", key_of(serve), by=by, follow="*")
    two = fleet.member("two", "--trust", key_of(serve), by=by[::-1], follow="*")
    naive = fleet.member("naive", by=[traitor.at], follow="*")  # shows that the lie is told
    good = make_file(tmp_path / "good/app", SIZE_BYTES, seed=1)
    bad = make_file(tmp_path / "bad/app", SIZE_BYTES, seed=2)
    artifact = fleet.publish(good, "app:1", serve)
    for node in (one, two):
        node.has(good, artifact, within_s=WITHIN_S)
    lie = fleet.publish(bad, "app:1", traitor)
    naive.has(bad, lie, within_s=WITHIN_S)
    for node in (one, two):
        refuses(node, "untrusted")
        assert node.shows(good) and node.names("app:1") == artifact
        assert node.api.swarm(lie) == {}
    got = fleet.call("get", "app:1", "--at", traitor.at, "--trust", key_of(serve), "-o", "got")
    assert (got.code, got.final["code"]) == (4, "integrity")
    assert not (fleet.folder / "got").exists()
    denied = fleet.call("push", str(bad), "app:2", "--at", one.at)  # it has no key they trust
    assert (denied.code, denied.final["code"]) == (6, "denied")
    assert "--sign-with" in denied.final["hint"]


async def test_a_tracker_that_forges_records_gives_a_node_nothing(
    fleet: Members, tmp_path: Path
) -> None:
    """Of each kind one: not signed, under the true key's id, and a true record with another
    artifact in it."""
    fleet.key = KEY
    fleet.env["STREW_FLEET_KEY"] = KEY.text
    serve = await asyncio.to_thread(fleet.tracker, "serve")
    file = make_file(tmp_path / "true", SIZE_BYTES)
    pushed = await asyncio.to_thread(fleet.run, "push", str(file), "app:true", "--at", serve.at)
    assert pushed.code == 0, pushed.err
    (true,) = [
        msgspec.convert(told, Publication)
        for told in await asyncio.to_thread(serve.api.json, "names")
    ]
    assert serve.running.stop() == 0
    public = PublicKey.parse(key_of(serve))
    async with served() as traitor:
        evil = offered(traitor, true, public)
        node = await asyncio.to_thread(
            fleet.member, "node", "--trust", public.text, by=[str(traitor.address)], follow="*"
        )
        await asyncio.to_thread(refuses, node, "untrusted", 3)
        await asyncio.to_thread(refuses, node, "unsigned")
        assert await asyncio.to_thread(node.api.json, "names") == []
        assert await asyncio.to_thread(node.api.swarm, evil) == {}
        assert took_nothing(node)
    kept = node.data / "names.json"
    assert node.running.stop() == 0
    assert not kept.exists() or kept.read_bytes() == b"[]"


def offered(traitor: Served, true: Publication, key: PublicKey) -> ArtifactId:
    """Have the tracker name an artifact in records that are each wrong in one way."""
    evil = manifest("evil")
    known = dataclasses.replace(facts("evil"), artifact=evil.id, manifest_bytes=len(evil.raw))
    traitor.state.put_manifest(known, evil.raw)
    version = true.version
    forged = [
        msgspec.structs.replace(publication("app:0", artifact="x"), artifact=evil.id),
        msgspec.structs.replace(true, reference="app:1", artifact=evil.id),
        msgspec.structs.replace(
            true, reference="app:2", signatures=(Signature(key.id, bytes(64)),)
        ),
        msgspec.structs.replace(true, reference="app:true", name="evil"),
    ]
    for number, told in enumerate(forged, 1):
        record = msgspec.structs.replace(told, version=version + number)
        traitor.state.apply([PutPublication(record)])
    return evil.id


def test_an_old_record_is_not_taken_again_whoever_says_it_not_even_after_a_restart(
    fleet: Members, tmp_path: Path
) -> None:
    """A tracker from yesterday's backup: its records are truly signed, and its origin has the old
    version to give."""
    first = make_file(tmp_path / "1/app", SIZE_BYTES, seed=1)
    second = make_file(tmp_path / "2/app", SIZE_BYTES, seed=2)
    serve = fleet.tracker("serve")
    key = key_of(serve)
    node = fleet.member("node", "--trust", key, by=[serve.at], follow="*")
    old = fleet.publish(first, "app:1", serve)
    node.has(first, old, within_s=WITHIN_S)
    assert serve.running.stop() == 0
    shutil.copytree(serve.data, fleet.folder / "backup.data")
    serve.start()
    new = fleet.publish(second, "app:1", serve)
    node.has(second, new, within_s=WITHIN_S)
    get = ("get", "app:1", "--trust", key, "--data", "mine", "-o", "got")
    ok(fleet.call(*get, "--at", serve.at))
    for process in (node, serve):
        assert process.running.stop() == 0
    (node.data / "names.json").unlink()  # what it heard is forgotten; what it took is not
    backup = fleet.tracker("backup")
    assert key_of(backup) == key and backup.names("app:1") == old
    late = fleet.member("late", "--trust", key, "--join", backup.at, by=[backup.at], follow="*")
    late.has(first, old, within_s=WITHIN_S)  # who knew nothing newer believes it
    node._flags = ("node", "--into", "node", "--join", backup.at, "--follow", "*", "--trust", key)
    node.start()
    refuses(node, "older")
    assert node.shows(second) and took_nothing(node)
    again = fleet.call(*get, "--at", backup.at)
    assert (again.code, again.final["code"]) == (4, "integrity") and "older" in again.final[
        "message"
    ]
    assert same_bytes(second, fleet.folder / "got")


# --- keys that change ----------------------------------------------------------------------------


def test_keys_are_changed_while_transfers_run(fleet: Members, tmp_path: Path) -> None:
    """A publisher's key is stolen in mid-transfer: what comes by it alone is left at once, what is
    in place stays, what others signed goes on, and the new key takes its place."""
    ids = {name: str(ok(fleet.call("key", "new", name))["key"]) for name in ("old", "new", "other")}
    serve = fleet.tracker("serve", "--rate-up", RATE)
    for name in ids.values():
        ok(fleet.call("key", "trust", name, "--data", str(serve.data)))
    trusted = ("--trust", f"{ids['old']}=app:*", "--trust", f"{ids['other']}=lib:*")
    nodes = [
        fleet.member(name, *trusted, "--rate-up", RATE, by=[serve.at], follow="*")
        for name in ("one", "two")
    ]
    fleet.all_know()

    def push(path: Path, reference: str, by: str) -> ArtifactId:
        signing = ("--sign-with", by, "--at", serve.at)
        return ArtifactId(str(ok(fleet.call("push", str(path), reference, *signing))["artifact"]))

    def serve_admits() -> bool:
        done = fleet.call("push", str(small), "app:small", "--sign-with", "old", "--at", serve.at)
        return done.code == 0

    small = make_file(tmp_path / "small", SIZE_BYTES, seed=1)
    until(serve_admits, "serve to go by its file of trust", CHANGED_WITHIN_S + WITHIN_S)
    for node in nodes:
        until(lambda node=node: node.shows(small), f"{node.name} to have it", WITHIN_S)
    stolen = make_file(tmp_path / "stolen", SLOW_BYTES, seed=2)
    kept = make_file(tmp_path / "kept", SLOW_BYTES, seed=3)
    left, stays = push(stolen, "app:big", "old"), push(kept, "lib:big", "other")
    for node in nodes:
        node.reaches(left, 0.1)
        node.reaches(stays, 0.05)
    for node in nodes:
        ok(fleet.call("key", "trust", f"{ids['new']}=app:*", "--data", str(node.data)))
        ok(fleet.call("key", "revoke", ids["old"], "--data", str(node.data)))
        since_s = time.monotonic()
        what = f"{node.name} to leave it"
        until(lambda node=node: node.api.swarm(left) == {}, what, CHANGED_WITHIN_S + 1.0)
        print(f"{node.name} left it {time.monotonic() - since_s:.2f} s after the revocation")
        assert not node.shows(stolen) and node.names("app:big") == ""
        assert node.shows(small), "what is in place stays"
    for node in nodes:
        node.has(kept, stays, within_s=WITHIN_S)
    again = push(stolen, "app:big", "new")
    assert again == left
    for node in nodes:
        node.has(stolen, again, within_s=WITHIN_S)
        assert node.is_up()
