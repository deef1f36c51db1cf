"""What no tracker answers, to commands and to a node that was told to join there."""

import contextlib
import gzip
import json
import socket
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from strew.agent.process import PEER_ID_FILE
from strew.content.digest import artifact_id_of
from strew.publication import Publication
from strew.trust.keys import member_key
from strew.trust.record import signed
from tests.badinput import manifests
from tests.badinput.daemons import PATIENCE_S, Daemons
from tests.badinput.liar import Answer, Liar, answered, endless, lying
from tests.cli.processes import Done, call, until

GIB = 1 << 30
RSS_BYTES_MAX = 200 << 20
"""No answer may make a node grow beyond what it is promised to need."""

ID = "blake3:" + "5" * 64


def publication(**changed: Any) -> bytes:
    told = {
        "reference": "app:1",
        "artifact": ID,
        "version": 1,
        "size_bytes": 300,
        "chunk_count": 1,
        "published_s": 1.0,
        "name": "app",
    }
    return json.dumps(told | changed).encode()


def problem(detail: str, status: int = 400, code: str = "usage", hint: str = "") -> bytes:
    told = {
        "type": "urn:strew:" + code,
        "title": "Told",
        "status": status,
        "detail": detail,
        "code": code,
        "hint": hint,
    }
    return answered(status, json.dumps(told).encode(), "application/problem+json")


def reset(connection: socket.socket) -> None:
    """Break off in the middle of a head."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")


def redirect(status: int, where: str) -> bytes:
    return answered(status, b"", "text/html", f"Location: {where}\r\n")


BOMB = gzip.compress(bytes(64 << 20))

REPLIES: dict[str, tuple[Answer, int, str]] = {
    "HTML": (answered(200, b"<html>log in</html>", "text/html"), 1, "text/html"),
    "HTML that says it is JSON": (answered(200, b"<html>"), 1, "bad answer"),
    "nothing": (answered(200), 1, "bad answer"),
    "204": (answered(204), 1, "bad answer"),
    "304": (answered(304), 1, "304"),
    "a redirect to a file": (redirect(302, "file:///etc/passwd"), 1, "302"),
    "a redirect to metadata": (redirect(307, "http://169.254.169.254/"), 1, "307"),
    "a redirect to itself": (redirect(301, "/api/v1/names/app/1"), 1, "301"),
    "a bare 500": (answered(500, b"<html>", "text/html"), 5, "500"),
    "a bare 502": (answered(502, b"\xff\xfe", "text/html"), 5, "502"),
    "a proxy that wants a password": (answered(407), 1, "407"),
    "404 without a word": (answered(404), 3, "404"),
    "401 without a word": (answered(401), 6, "401"),
    "429": (answered(429), 5, "429"),
    "1 GiB": (endless("application/json", length_bytes=GIB), 1, "more than"),
    "no end": (endless("application/json", length_bytes=None), 1, "more than"),
    "1 GiB of HTML": (endless("text/html", length_bytes=GIB), 1, "text/html"),
    "what grows when unpacked": (
        answered(200, BOMB, head="Content-Encoding: gzip\r\n"),
        1,
        "more than",
    ),
    "broken gzip": (answered(200, b"{}", head="Content-Encoding: gzip\r\n"), 5, "broke off"),
    "a list": (answered(200, b"[]"), 1, "bad answer"),
    "deep lists": (answered(200, b"[" * 500_000), 1, "bad answer"),
    "no UTF-8": (answered(200, b'{"reference":"\xff"}'), 1, "bad answer"),
    "an id of 63 digits": (answered(200, publication(artifact=ID[:-1])), 1, "artifact"),
    "a version over 2^63": (answered(200, publication(version=1 << 63)), 1, "version"),
    "a negative size": (answered(200, publication(size_bytes=-1)), 1, "size_bytes"),
    "another name": (answered(200, publication(reference="other:9")), 1, "other:9"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 1, "does not answer as a tracker"),
    "bytes": (bytes(range(256)) * 4, 1, "does not answer as a tracker"),
    "a head without end": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000, 1, ""),
    "half a head": (reset, 5, ""),
    "nothing at all": (b"", 5, ""),
    "less than it said": (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", 1, ""),
    "a problem of many lines": (problem("first\nsecond\x1b[2J\u202e"), 2, "first second"),
    "a problem of a megabyte": (problem("x" * (1 << 19)), 2, "xxx"),
}


def get(daemons: Daemons, liar: Liar, reference: str = "app:1") -> Done:
    """`strew get` at the liar, in this process."""
    where = daemons.fleet.folder
    words = ("get", reference, "-o", "lied.bin", "--at", str(liar.address))
    env = daemons.fleet.env | {"STREW_FLEET_KEY": daemons.key.text}
    return call(*words, env=env, cwd=where)


def check_refused(done: Done, code: int, words: str, folder: Path) -> None:
    """One line, the right exit code, and no file."""
    assert (done.code, done.out) == (code, ""), done.err
    assert done.err.count("\n") == 1 and done.err.startswith("strew: "), done.err
    assert words in done.err and done.err[:-1].isprintable()
    assert len(done.err) < 1500
    assert not (folder / "lied.bin").exists()


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_that_no_tracker_gives_is_one_line(daemons: Daemons, name: str) -> None:
    answer, code, words = REPLIES[name]
    with lying({"/": answer}) as liar:
        check_refused(get(daemons, liar), code, words, daemons.fleet.folder)
        # nobody follows a redirect; whose connection breaks without a word is asked once more
        assert len(set(liar.asked)) == 1 and len(liar.asked) <= 2


def told_of(artifact: str, raw: bytes) -> dict[str, Answer]:
    """What a tracker says of an artifact that it has this manifest of."""
    report = {
        "artifact": artifact,
        "name": "app",
        "is_tree": True,
        "size_bytes": 300,
        "chunk_count": 1,
        "manifest_bytes": len(raw),
        "added_s": 1.0,
        "references": [],
    }
    return {
        "/api/v1/artifacts": answered(200, json.dumps(report).encode()),
        f"/api/v1/artifacts/{artifact}/manifest": answered(200, raw, "application/octet-stream"),
    }


@pytest.mark.parametrize("name", ["an absolute path", "a link out of it", "cut off in the middle"])
def test_a_broken_manifest_under_its_own_id_is_not_fetched(daemons: Daemons, name: str) -> None:
    make, rule = manifests.BROKEN[name]
    raw = make()
    artifact = artifact_id_of(raw)
    with lying(told_of(artifact, raw)) as liar:
        check_refused(get(daemons, liar, artifact), 4, rule, daemons.fleet.folder)


def test_a_manifest_of_something_else_is_not_fetched(daemons: Daemons) -> None:
    with lying(told_of(ID, manifests.packed())) as liar:
        check_refused(get(daemons, liar, ID), 4, "other bytes", daemons.fleet.folder)


# --- a node --------------------------------------------------------------------------------------


def events(frames: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + frames


OPEN = b'id: 1\nevent: open\ndata: {"resumed":false}\n\n'

STREAMS: dict[str, Answer] = {
    "an event that is no JSON": events(OPEN + b"event: publication\ndata: <html>\n\n"),
    "an event of another type": events(OPEN + b'event: publication\ndata: {"a":1}\n\n'),
    "an event nested deep": events(OPEN + b"event: publication\ndata: " + b"[" * 30_000 + b"\n\n"),
    "an event that is no UTF-8": events(b'event: publication\ndata: {"\xff\xfe": 1}\n\n'),
    "an event without end": endless("text/event-stream", length_bytes=None),
    "a line of 1 MiB": events(b"data: " + b"x" * (1 << 20)),
    "HTML": answered(200, b"<html>", "text/html"),
    "a redirect": redirect(302, "http://169.254.169.254/"),
}

HANDOUTS: dict[str, Answer] = {
    "HTML": answered(200, b"<html>", "text/html"),
    "a redirect": redirect(302, "http://169.254.169.254/"),
    "1 GiB": endless("application/json", length_bytes=GIB),
    "no end": endless("application/json", length_bytes=None),
    "gzip": answered(200, BOMB, head="Content-Encoding: gzip\r\n"),
    "deep lists": answered(200, b"[" * 500_000),
    "a lease of -1": answered(200, b'{"lease_s":-1,"interval_s":10,"seen":0}'),
    "a lease for ever": answered(200, b'{"lease_s":1e999,"interval_s":1e999,"seen":0}'),
}


@pytest.mark.parametrize("part", [slice(0, 4), slice(4, 8)], ids=["some", "others"])
def test_a_node_gets_along_with_trackers_of_all_those_kinds(daemons: Daemons, part: slice) -> None:
    """Several at once, and a true one behind them: what is published there arrives."""
    fleet = daemons.fleet
    into = f"misled-{part.start}"
    scripts: list[dict[str, Answer]] = [
        {"/api/v1/announce": announce, "/api/v1/events": stream}
        for announce, stream in zip(
            list(HANDOUTS.values())[part], list(STREAMS.values())[part], strict=True
        )
    ]
    with contextlib.ExitStack() as running:
        liars = [running.enter_context(lying(script)) for script in scripts]
        joined = [word for liar in liars for word in ("--join", str(liar.address))]
        node = fleet.start(
            *("node", *joined, "--join", fleet.at, "--follow", "app:*", "--into", into),
            *("--data", f"{into}.data", "--listen", "127.0.0.1:0"),
        )
        running.callback(node.kill)
        node.event("transfer", reference="app:1", within_s=PATIENCE_S)
        assert (fleet.folder / into / "app.bin").read_bytes() == daemons.content
        for liar in liars:
            until(partial(liar.was_asked, "announce"), "each of them to be announced to")
        until(partial(_asked_again, liars), "those whose stream ended to be listened to again")
        status = Path(f"/proc/{node.process.pid}/status").read_text()
        peak_bytes = int(status.split("VmHWM:")[1].split()[0]) * 1024
        assert peak_bytes < RSS_BYTES_MAX, f"{peak_bytes >> 20} MiB"
        assert node.stop() == 0
        assert "Traceback" not in node.errors, node.errors


def _asked_again(liars: list[Liar]) -> bool:
    return all(sum("/events" in line for line in liar.asked) >= 2 for liar in liars)


def handout(**more: Any) -> dict[str, Any]:
    return {"lease_s": 3.0, "interval_s": 1.0, "seen": 1, **more}


def test_a_node_does_not_dial_what_a_handout_must_not_name(daemons: Daemons) -> None:
    """Itself, multicast, names, and addresses of nobody: none of them is dialled for a peer."""
    fleet = daemons.fleet
    trap = socket.create_server(("127.0.0.1", 0))
    trapped = trap.getsockname()[1]
    own = "a" * 32

    def answer(connection: socket.socket) -> None:
        peers = [
            {"id": own, "host": "127.0.0.1", "port": trapped},
            {"id": "1" * 32, "host": "224.0.0.1", "port": 7301},
            {"id": "2" * 32, "host": "255.255.255.255", "port": 7301},
            {"id": "3" * 32, "host": "0.0.0.0", "port": trapped},
            {"id": "4" * 32, "host": "localhost", "port": trapped},
            {"id": "5" * 32, "host": "::ffff:224.0.0.1", "port": trapped},
        ]
        named = msgspec.json.decode(publication(), type=Publication)
        told = signed(named, (member_key(daemons.key),), expires_s=time.time() + 3600)
        body = handout(peers={ID: peers}, publications=[told])
        connection.sendall(answered(200, msgspec.json.encode(body)))

    with contextlib.ExitStack() as running:
        running.enter_context(contextlib.closing(trap))
        liar = running.enter_context(lying({"/api/v1/announce": answer}))
        (fleet.folder / "caught.data").mkdir()
        (fleet.folder / "caught.data" / PEER_ID_FILE).write_text(own)
        node = fleet.start(
            *("node", "--join", str(liar.address), "--follow", "app:*", "--into", "caught"),
            *("--data", "caught.data", "--listen", "127.0.0.1:0"),
        )
        running.callback(node.kill)
        assert node.event("listening")["node"] == own
        until(lambda: liar.was_asked("/manifest"), "the node to begin with what it was told of")
        until(lambda: sum("announce" in line for line in liar.asked) >= 2, "another announce")
        trap.settimeout(1.0)
        with pytest.raises(TimeoutError):
            trap.accept()
        assert node.stop() == 0
        assert "Traceback" not in node.errors, node.errors
