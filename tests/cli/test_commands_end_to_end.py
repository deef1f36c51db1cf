"""serve, node, push, get and all that look at them, as real processes on loopback."""

import os
import random
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from strew.transfer.port import Port
from tests.cli.processes import Done, Running, call, environment, run, until
from tests.cli.terminals import OnTerminal

SIZE_BYTES = 3_000_000


class Fleet:
    """A serve and a node that follows `app:*`, and commands beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.env = environment(self.home)
        self.started: list[Running] = []
        self.serve = self.start("serve", "--listen", "127.0.0.1:0")
        self.at = f"127.0.0.1:{self.serve.event('listening')['port']}"
        self.env["STREW_AT"] = self.at
        self.node = self.start_node("one")

    def start(self, *words: str) -> Running:
        """Start a command that will be stopped with the fleet, should it run then."""
        self.started.append(Running(*words, env=self.env, cwd=self.folder))
        return self.started[-1]

    def start_node(self, name: str) -> Running:
        node = self.start(
            *("node", "--join", self.at, "--follow", "app:*", "--into", name),
            *("--data", f"{name}.data", "--listen", "127.0.0.1:0"),
        )
        me = node.event("listening")["node"]
        until(lambda: me in {n["id"] for n in self.json("status")["nodes"]}, f"{name} to join")
        return node

    def run(self, *words: str, **environ: str) -> Done:
        return call(*words, env=self.env | environ, cwd=self.folder)

    def json(self, *words: str) -> dict[str, Any]:
        """The result of a command that works."""
        done = self.run(*words, "--json")
        assert done.code == 0, done.out + done.err
        assert done.final["type"] == "result"
        return done.final

    def stop(self) -> None:
        for running in reversed(self.started):
            running.stop()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    yield fleet
    fleet.stop()


@pytest.fixture
def own_fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A fleet that the test may stop."""
    fleet = Fleet(tmp_path)
    yield fleet
    fleet.stop()


@pytest.fixture(scope="module")
def published(fleet: Fleet) -> dict[str, Any]:
    """app:1, a file of random bytes, after the node has it."""
    (fleet.folder / "app.bin").write_bytes(random.Random(1).randbytes(SIZE_BYTES))
    (fleet.folder / "app.bin").chmod(0o644)
    words = ("push", "app.bin", "app:1", "--wait", "--json")
    return run(*words, env=fleet.env, cwd=fleet.folder).final


@pytest.fixture(scope="module")
def second(fleet: Fleet, published: dict[str, Any]) -> dict[str, Any]:
    """app:2, of which 10 bytes differ, after the node has it."""
    changed = bytearray((fleet.folder / "app.bin").read_bytes())
    changed[1_500_000:1_500_010] = b"0123456789"
    (fleet.folder / "new").mkdir()
    (fleet.folder / "new/app.bin").write_bytes(changed)
    return fleet.json("push", "new/app.bin", "app:2", "--wait")


def same_content(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def test_serve_says_first_how_to_join(fleet: Fleet) -> None:
    listening = fleet.serve.events[0]
    assert listening["type"] == "listening"
    key = (fleet.home / ".local/share/strew/serve/fleet.key").read_text().strip()
    publisher = fleet.json(
        "key", "show", str(fleet.home / ".local/share/strew/serve/publisher.key")
    )
    assert listening["publisher"] == publisher["key"]
    assert listening["join"] == (
        f"STREW_FLEET_KEY={key} strew node --join {fleet.at} --trust {publisher['key']} "
        "--follow '*' --into DIR"
    )
    mode = (fleet.home / ".local/share/strew/serve/fleet.key").stat().st_mode
    assert mode & 0o777 == 0o600


def test_a_push_reaches_who_follows(fleet: Fleet, published: dict[str, Any]) -> None:
    assert published["reference"] == "app:1"
    assert published["size_bytes"] == published["new_bytes"] == SIZE_BYTES
    assert (published["nodes_done"], published["nodes_failed"]) == (1, 0)
    assert 0 < published["seconds_median"] <= published["seconds_last"] < 20
    assert published["origin_sent_ratio"] == pytest.approx(1.0, abs=0.01)
    ended = fleet.node.event("transfer", reference="app:1")
    assert ended["path"] == str(fleet.folder / "one/app.bin")
    assert (ended["fetched_bytes"], ended["reused_bytes"]) == (SIZE_BYTES, 0)
    assert ended["from_origin_ratio"] > 0.9


def test_a_second_name_costs_nothing(fleet: Fleet, published: dict[str, Any]) -> None:
    by_id = fleet.json("push", published["artifact"], "other:1")
    again = fleet.json("push", "app.bin", "other:2")
    assert by_id["artifact"] == again["artifact"] == published["artifact"]
    assert by_id["new_bytes"] == again["new_bytes"] == 0


def test_a_new_version_replaces_the_file_and_fetches_what_changed(
    fleet: Fleet, second: dict[str, Any]
) -> None:
    assert second["new_bytes"] < 0.15 * SIZE_BYTES
    assert same_content(fleet.folder / "one/app.bin", fleet.folder / "new/app.bin")
    assert fleet.node.event("transfer", reference="app:2")["reused_bytes"] > 0.85 * SIZE_BYTES


def test_get_fetches_and_run_again_repairs(fleet: Fleet, published: dict[str, Any]) -> None:
    target = fleet.folder / "got.bin"
    done = run("get", "app:1", "-o", "got.bin", "--json", env=fleet.env, cwd=fleet.folder)
    first = done.final
    assert first["path"] == str(target)
    assert first["artifact"] == published["artifact"]
    assert (first["fetched_bytes"], first["reused_bytes"]) == (SIZE_BYTES, 0)
    content = target.read_bytes()
    assert content == (fleet.folder / "app.bin").read_bytes()
    target.write_bytes(content[:1000] + b"x" + content[1001:])
    second = fleet.json("get", published["artifact"], "--output", "got.bin")
    assert 0 < second["fetched_bytes"] < 0.2 * SIZE_BYTES
    assert target.read_bytes() == content
    leftovers = [name for name in os.listdir(fleet.folder) if name.startswith(".strew")]
    assert not leftovers
    assert not list((fleet.home / ".local/share/strew/client/fetch").iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_get_that_was_interrupted_goes_on_where_it_was(
    fleet: Fleet, published: dict[str, Any], number: signal.Signals
) -> None:
    words = ("get", "app:1", "-o", f"slow-{number}.bin")
    slow = fleet.start(*words, "--rate", "1M")
    until(lambda: any(e.get("done_bytes") for e in slow.events), "the first chunks")
    assert slow.stop(number) == 130
    assert slow.events[-1]["type"] == "error" and slow.events[-1]["code"] == "interrupted"
    assert slow.errors == ""
    assert not (fleet.folder / f"slow-{number}.bin").exists()
    assert fleet.json(*words)["reused_bytes"] > 0
    assert same_content(fleet.folder / f"slow-{number}.bin", fleet.folder / "app.bin")


def test_status_can_be_watched(fleet: Fleet, published: dict[str, Any]) -> None:
    watching = fleet.start("status", "app:1", "--watch")
    assert watching.event("status")["reference"] == "app:1"
    assert watching.stop(signal.SIGINT) == 130


def test_a_push_that_waits_is_drawn_on_a_terminal(fleet: Fleet) -> None:
    (fleet.folder / "drawn.bin").write_bytes(random.Random(5).randbytes(SIZE_BYTES))
    pushing = OnTerminal(
        *("push", "drawn.bin", "app:drawn", "--wait"), env=fleet.env, cwd=fleet.folder, columns=100
    )
    until(lambda: pushing.process.poll() is not None, "the end of the push")
    assert pushing.stop() == 0
    block = next(n for n, line in enumerate(pushing.screen) if line.startswith("app:drawn  2.86"))
    assert pushing.screen[block + 1].endswith("100.0 %  done")
    assert pushing.screen[block + 2] == "1 done"
    assert any("1 of 1 nodes have it; the last after" in line for line in pushing.screen)
    assert sum("MiB in" in line and "to 1 machine" in line for line in pushing.screen) == 1


def test_status_shows_what_members_tell_each_other(fleet: Fleet, published: dict[str, Any]) -> None:
    def both() -> list[set[tuple[str, bool, int]]]:
        told = [fleet.json("status", "app:1", *words) for words in ((), ("--trackerless",))]
        return [{(n["state"], n["origin"], n["have_chunks"]) for n in of["nodes"]} for of in told]

    def alike() -> bool:
        by_tracker, by_gossip = both()
        return by_tracker == by_gossip

    until(alike, "members to tell what the tracker knows")
    fleet_of = fleet.json("status", "--trackerless")["nodes"]
    assert {node["id"] for node in fleet_of} == {n["id"] for n in fleet.json("status")["nodes"]}
    assert fleet.run("status", "nobody:1", "--trackerless", "--json").code == 3


def test_get_goes_where_it_is_told(fleet: Fleet, published: dict[str, Any]) -> None:
    (fleet.folder / "here").mkdir()
    assert fleet.json("get", "app:1", "-o", "here")["path"] == str(fleet.folder / "here/app.bin")
    link = f"strew://{fleet.at}/app:1"
    done = fleet.run("get", link, "-o", "here/", "--quiet", STREW_AT="127.0.0.1:1")
    assert (done.code, done.out, done.err) == (0, f"{fleet.folder}/here/app.bin\n", "")
    piped = subprocess.run(
        [sys.executable, "-m", "strew", "get", "app:1", "-o", "-"],
        env=fleet.env,
        cwd=fleet.folder,
        timeout=20,
        capture_output=True,
        check=True,
    )
    assert piped.stdout == (fleet.folder / "app.bin").read_bytes()
    from_node = fleet.json("get", "app:1", "-o", "from.bin", "--from", fleet.at)
    assert from_node["from_origin_ratio"] == 1.0


def test_a_folder_arrives_whole_and_is_not_put_over_a_stranger(fleet: Fleet) -> None:
    tree = fleet.folder / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin/tool").write_bytes(random.Random(2).randbytes(100_000))
    (tree / "bin/tool").chmod(0o750)
    (tree / "empty").touch()
    (tree / "link").symlink_to("bin/tool")
    fleet.json("push", "tree", "tree:1")
    assert fleet.json("get", "tree:1", "-o", "copy")["path"] == str(fleet.folder / "copy")
    assert os.readlink(fleet.folder / "copy/link") == "bin/tool"
    assert (fleet.folder / "copy/bin/tool").stat().st_mode & 0o777 == 0o750
    (fleet.folder / "mine").mkdir()
    (fleet.folder / "mine/precious").touch()
    refused = fleet.run("get", "tree:1", "-o", "mine")
    assert refused.code == 2 and "other content" in refused.err
    assert os.listdir(fleet.folder / "mine") == ["precious"]
    (fleet.folder / "copy/bin/tool").chmod(0o700)
    broken = fleet.run("verify", "copy", "--as", "tree:1", "--json")
    assert broken.code == 4
    assert broken.final["differences"] == ["bin/tool: mode 700, should be 750"]
    assert fleet.json("verify", "copy", "--as", "tree:1", "--repair")["repaired"]
    assert fleet.json("verify", "copy", "--as", "tree:1")["intact"]


def test_verify_sees_and_repairs_damage_beside_a_running_node(
    fleet: Fleet, second: dict[str, Any]
) -> None:
    target = fleet.folder / "one/app.bin"
    intact = fleet.json("verify", "app:2", "--data", "one.data")
    assert intact["intact"] and intact["path"] == str(target)
    content = target.read_bytes()
    with target.open("r+b") as file:
        file.seek(2_000_000)
        file.write(b"rot")
    done = fleet.run("verify", "one/app.bin", "--data", "one.data", "--json")
    assert done.code == 4
    assert 1 <= len(done.final["bad_chunks"]) <= 2
    told = fleet.run("verify", "one/app.bin", "--data", "one.data")
    assert told.code == 4 and "strew: 'one/app.bin' is not as published" in told.err
    repaired = fleet.json("verify", "one/app.bin", "--data", "one.data", "--repair")
    assert 0 < repaired["fetched_bytes"] < 0.2 * SIZE_BYTES
    assert target.read_bytes() == content


def test_ls_show_and_status_tell_what_there_is(fleet: Fleet, published: dict[str, Any]) -> None:
    names = {row["reference"]: row for row in fleet.json("ls")["names"]}
    assert names["app:1"]["artifact"] == published["artifact"]
    assert "app:1" in fleet.run("ls").out
    shown = fleet.json("show", "app:1")
    assert shown["entries"][0]["path"] == "app.bin" and shown["chunks"] == published["chunks"]
    assert "-rw-r--r--  2.86 MiB  app.bin" in fleet.run("show", published["artifact"]).out
    publisher = fleet.serve.events[0]["publisher"]
    for key, trusted in (((), [False, True]), (("--trust", publisher), [True, False])):
        shown = fleet.json("show", "app:1", *key)
        for signers in (shown["signers"], shown["manifest_signers"]):
            assert [(of["trusted"], of["member"]) for of in signers] == [
                (trusted[0], False),
                (trusted[1], True),
            ]
    assert "(trusted)" in fleet.run("show", "app:1", "--trust", publisher).out
    swarm = fleet.json("status", "app:1")
    assert swarm["nodes"][0]["origin"] and swarm["nodes"][0]["state"] == "seeding"
    assert "origin" in fleet.run("status", "app:1").out
    assert len(fleet.json("status")["nodes"]) >= 2


def test_the_address_that_show_prints_is_enough_for_curl(
    fleet: Fleet, published: dict[str, Any]
) -> None:
    (address,) = fleet.json("show", "app:1", "--url")["urls"]
    content = (fleet.folder / "app.bin").read_bytes()
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert answer.read() == content
    part = urllib.request.Request(address, headers={"Range": "bytes=1000-1999"})
    with urllib.request.urlopen(part, timeout=10) as answer:
        assert answer.status == 206 and answer.read() == content[1000:2000]
    with pytest.raises(urllib.error.HTTPError) as denied:
        urllib.request.urlopen(address[:-1] + "g", timeout=10)
    assert denied.value.code == 403
    denied.value.close()


def test_doctor_sees_that_it_shares(fleet: Fleet, published: dict[str, Any]) -> None:
    done = fleet.run("doctor", "--json", "--listen", "127.0.0.1:0")
    (sharing,) = [f for f in done.final["findings"] if f["check"] == "sharing"]
    assert sharing["level"] == "ok" and fleet.at in sharing["detail"]


def test_a_rollback_is_a_new_version_like_any_other(own_fleet: Fleet) -> None:
    fleet, tmp_path = own_fleet, own_fleet.folder
    content = random.Random(4).randbytes(500_000)
    for tag, versions in (("1", content), ("2", content[:-1] + b"x"), ("3", content)):
        (tmp_path / "app").write_bytes(versions)
        words = ("push", "app", f"app:{tag}", "--wait", "--deadline", "15s")
        assert fleet.json(*words)["nodes_done"] == 1
        assert same_content(tmp_path / "one/app", tmp_path / "app")


def test_a_push_from_behind_a_firewall_goes_over_the_connection_it_makes(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = Port.listen

    async def listen_in_vain(port: Port, *where: Any, **how: Any) -> None:
        await listen(port, *where, **how)
        assert port._server is not None
        port._server.close()

    monkeypatch.setattr(Port, "listen", listen_in_vain)
    (fleet.folder / "walled").write_bytes(random.Random(7).randbytes(300_000))
    assert fleet.json("push", "walled", "walled:1")["new_bytes"] == 300_000


def test_get_stays_until_it_is_told_to_end(fleet: Fleet, published: dict[str, Any]) -> None:
    staying = fleet.start("get", "app:1", "-o", "stay.bin", "--stay")
    assert staying.event("fetched")["size_bytes"] == SIZE_BYTES
    assert staying.stop(signal.SIGINT) == 130
    assert [e["type"] for e in staying.events if e["type"] != "progress"] == ["fetched", "result"]


@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        (("get", "nobody:1"), 3, "not-found"),
        (("get", "blake3:" + "0" * 64), 3, "not-found"),
        (("get", "app"), 2, "usage"),
        (("get", "app:1", "-o", "missing/folder/file"), 2, "usage"),
        (("get", "app:1", "--deadline", "soon"), 2, "usage"),
        (("get", "app:1", "--at", "127.0.0.1:1"), 5, "unavailable"),
        (("get", "app:1", "-o", "never", "--from", "127.0.0.1:1"), 5, "unavailable"),
        (("get", "app:1", "--fleet-key", "0" * 64), 6, "denied"),
        (("get", "app:1", "-o", "late", "--rate", "64K", "--deadline", "300ms"), 10, "deadline"),
        (("push", "nothing-here", "a:1"), 3, "not-found"),
        (("push", "app.bin", "Bad Name:1"), 2, "usage"),
        (("push", "blake3:" + "0" * 64, "a:1"), 3, "not-found"),
        (("push", "blake3:" + "0" * 64), 2, "usage"),
        (("show", "nobody:1"), 3, "not-found"),
        (("status", "nobody:1"), 3, "not-found"),
        (("verify", "nowhere/at-all"), 3, "not-found"),
        (("node", "--follow", "app:*", "--listen", "192.0.2.1:7"), 9, "configuration"),
        (("gc", "blake3:" + "0" * 64), 3, "not-found"),
    ],
)
def test_each_refusal_has_its_exit_code(
    fleet: Fleet, published: dict[str, Any], words: tuple[str, ...], code: int, kind: str
) -> None:
    done = fleet.run(*words, "--json")
    assert (done.code, done.final["type"], done.final.get("code")) == (code, "error", kind)
    assert "\n" not in done.final["message"]


def test_a_second_agent_on_one_folder_is_refused(fleet: Fleet) -> None:
    words = ("node", "--join", fleet.at, "--data", "one.data", "--listen", "127.0.0.1:0")
    done = fleet.run(*words, "--json")
    assert done.code == 7 and "in use by another strew" in done.final["message"]
    gc = fleet.run("gc", "--data", "one.data", "--dry-run", "--json")
    assert gc.code == 0 and gc.final["artifacts"] == []


def test_a_taken_port_is_told(fleet: Fleet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = fleet.run("serve", "--listen", address, "--data", "spare", "--json")
    assert done.code == 9 and address in done.final["message"]


def test_services_end_with_a_result_and_go_on_where_they_were(own_fleet: Fleet) -> None:
    fleet, tmp_path = own_fleet, own_fleet.folder
    (tmp_path / "app").write_bytes(random.Random(3).randbytes(200_000))
    artifact = fleet.json("push", "app", "app:1", "--wait")["artifact"]
    assert fleet.node.stop(signal.SIGINT) == 130
    assert fleet.serve.stop() == 0
    for running in (fleet.node, fleet.serve):
        assert running.events[-1]["type"] == "result"
        assert "Traceback" not in running.errors
    (tmp_path / "one/app").unlink()
    fleet.serve = fleet.start("serve", "--listen", fleet.at)
    fleet.serve.event("listening")
    fleet.node = fleet.start_node("one")
    fleet.node.event("transfer", reference="app:1")
    assert (tmp_path / "one/app").read_bytes() == (tmp_path / "app").read_bytes()
    fleet.stop()
    dropped = fleet.json("gc", "--limit", "0")
    assert dropped["artifacts"] == []  # what serve is the origin of is pinned
    (held,) = fleet.json("gc", artifact)["artifacts"]
    assert held["kind"] == "held"
    assert not list((fleet.home / ".local/share/strew/serve/held").iterdir())
