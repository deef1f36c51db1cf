"""HTTP that no honest client sends, to a tracker and to a node."""

import gzip
import json
import re
from urllib.parse import quote

import pytest

from tests.badinput.daemons import Answer, Daemons

ZEROS = "blake3:" + "0" * 64
V1 = "/api/v1"
BOTH = ("serve", "node")

at_both = pytest.mark.parametrize("at", BOTH)


def refused(answer: Answer, *statuses: int) -> dict[str, object]:
    """The problem of an answer that must be one of these, in the one form that errors have."""
    assert answer.status in statuses, (answer.status, answer.body[:200])
    assert answer.kind == "application/problem+json", (answer.headers, answer.body[:200])
    problem = json.loads(answer.body)
    assert problem["status"] == answer.status
    assert problem["detail"] and problem["detail"].isprintable(), problem
    assert "\n" not in problem["hint"]
    return dict(problem)


def closed_or(answer: Answer, *statuses: int) -> None:
    """What is no HTTP at all may be answered by closing the connection."""
    assert answer.status in (0, *statuses), (answer.status, answer.body[:200])


# --- heads ---------------------------------------------------------------------------------------


@at_both
@pytest.mark.parametrize(
    ("hosts", "statuses"),
    [
        ([], (400,)),
        ([""], (421,)),
        (["rebound.example"], (421,)),
        (["127.0.0.1.rebound.example:7301"], (421,)),
        (["127.0.0.1@rebound.example"], (421,)),
        (["[::1"], (421,)),
        (["x" * 4000], (421,)),
        (["127.0.0.1", "rebound.example"], (400,)),
        (["127.0.0.1", "127.0.0.1"], (400,)),
    ],
    ids=lambda value: ",".join(map(str, value))[:40] if isinstance(value, list) else "",
)
def test_a_host_that_is_not_ours_is_refused_on_each_route(
    daemons: Daemons, at: str, hosts: list[str], statuses: tuple[int, ...]
) -> None:
    lines = "".join(f"Host: {host}\r\n" for host in hosts)
    for path in (f"{V1}/nodes", "/healthz", "/no-such-route", daemons.files):
        head = f"GET {path} HTTP/1.1\r\n{lines}Authorization: {daemons.bearer()}\r\n\r\n"
        answer = daemons.say(at, head.encode())
        if statuses == (421,):
            refused(answer, 421)
        else:
            closed_or(answer, *statuses)


GARBAGE = {
    "a TLS client": bytes.fromhex("16030100a5010000a10303") + b"\x07" * 160,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n",
    "HTTP/9.9": b"GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "all high bytes": bytes(range(128, 256)) * 8,
    "line feeds alone": b"\n" * 4096,
    "no line end": b"G" * 100_000,
    "a NUL in the path": b"GET /heal\0thz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a NUL in a header": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: \0\r\n\r\n",
    "a header without colon": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nnonsense\r\n\r\n",
    "a blank before the colon": b"GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "a method of odd signs": b"G@T{} /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a broken percent": b"GET /%zz%2 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a broken IPv6 target": b"GET http://[::1/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a port out of range": b"GET http://a:99999/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an unknown method": b"FROB /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a method in small letters": b"get /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "CONNECT": b"CONNECT 10.0.0.1:22 HTTP/1.1\r\nHost: 10.0.0.1:22\r\n\r\n",
}


@at_both
@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_no_request_is_refused_or_cut_off(daemons: Daemons, at: str, name: str) -> None:
    closed_or(daemons.say(at, GARBAGE[name]), 400, 404, 405, 421, 431, 505)


@at_both
@pytest.mark.parametrize(
    "head",
    [
        f"GET /{'x' * 70_000} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: localhost\r\nX: {'x' * 70_000}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\n"
        + "".join(f"X-{n}: {'x' * 100}\r\n" for n in range(10_000))
        + "\r\n",
        f"{'X' * 70_000} / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["path", "one header", "many headers", "method"],
)
def test_a_head_over_the_limit_is_refused(daemons: Daemons, at: str, head: str) -> None:
    closed_or(daemons.say(at, head.encode()), 400, 414, 431)


LENGTHS = {
    "two that differ": "Content-Length: 5\r\nContent-Length: 6\r\n",
    "a list": "Content-Length: 5, 6\r\n",
    "and chunked": "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "negative": "Content-Length: -5\r\n",
    "with a sign": "Content-Length: +5\r\n",
    "hexadecimal": "Content-Length: 0x5\r\n",
    "of no digits": "Content-Length: \r\n",
    "over 2^63": "Content-Length: 99999999999999999999\r\n",
    "an unknown coding": "Transfer-Encoding: secret\r\n",
    "chunked twice": "Transfer-Encoding: chunked, chunked\r\n",
}


@at_both
@pytest.mark.parametrize("name", LENGTHS)
def test_a_length_that_is_none_is_refused(daemons: Daemons, at: str, name: str) -> None:
    smuggled = f"GET {V1}/nodes HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = (
        f"PUT {V1}/names/app/1 HTTP/1.1\r\nHost: localhost\r\n{LENGTHS[name]}"
        f"Authorization: {daemons.bearer('publish')}\r\n\r\n"
    )
    answer = daemons.say(at, (head + "0\r\n\r\n" + smuggled).encode())
    closed_or(answer, 400, 413, 501)


@at_both
@pytest.mark.parametrize(
    "body",
    [b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n\r\n", b"ffffffffffffffffff\r\n{}", b"5\r\n{}\r\n0\r\n\r\n"],
)
def test_a_body_that_is_badly_chunked_is_refused(daemons: Daemons, at: str, body: bytes) -> None:
    head = (
        f"PUT {V1}/names/app/1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        f"Authorization: {daemons.bearer('publish')}\r\n\r\n"
    )
    closed_or(daemons.say(at, head.encode() + body), 400, 413)


@at_both
def test_a_body_that_ends_early_changes_nothing(daemons: Daemons, at: str) -> None:
    body = json.dumps({"artifact": daemons.manifest.id}).encode()
    head = (
        f"PUT {V1}/names/early/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body) + 9}\r\n"
        f"Authorization: {daemons.bearer('publish')}\r\n\r\n"
    )
    closed_or(daemons.say(at, head.encode() + body), 400)
    assert daemons.ask(at, "GET", f"{V1}/names/early/1").status == 404


# --- who may -------------------------------------------------------------------------------------


@at_both
@pytest.mark.parametrize(
    "credential",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer n." + "0" * 64,
        "Bearer n." + "f" * 7_000,
        "Basic bm9kZTpub2Rl",
        "bearer\tn.0",
        "Bearer \u00fc\u00fc",
        "Bearer n.0 n.1",
    ],
)
def test_a_wrong_token_opens_nothing(daemons: Daemons, at: str, credential: str) -> None:
    asked = [("GET", f"{V1}/nodes"), ("PUT", f"{V1}/names/app/1"), ("GET", "/metrics")]
    for method, path in asked:
        given = {"Authorization": credential} if credential else {}
        problem = refused(daemons.ask(at, method, path, role="", **given), 401)
        assert problem["code"] == "denied"
    given = {"Authorization": credential} if credential else {}
    refused(daemons.ask(at, "GET", daemons.files, role="", **given), 401, 403)


@at_both
def test_a_token_of_another_role_is_not_enough(daemons: Daemons, at: str) -> None:
    refused(daemons.ask(at, "PUT", f"{V1}/names/app/1", b"{}", role="read"), 403)
    refused(daemons.ask(at, "PUT", f"{V1}/names/app/1", b"{}", role="node"), 403)
    refused(daemons.ask(at, "POST", f"{V1}/transfers", b"{}", role="publish"), 403)


@at_both
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", f"{V1}/names/app/1"),
        ("POST", f"{V1}/nodes"),
        ("PUT", "/healthz"),
        ("PATCH", f"{V1}/artifacts"),
        ("TRACE", f"{V1}/nodes"),
        ("POST", f"/files/{ZEROS}/a"),
    ],
)
def test_a_wrong_method_is_told_which_are_right(
    daemons: Daemons, at: str, method: str, path: str
) -> None:
    answer = daemons.ask(at, method, path)
    refused(answer, 405)
    assert answer.headers["allow"]


# --- paths ---------------------------------------------------------------------------------------

OUTSIDE = (
    "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "../../../etc/passwd",
    "%252e%252e%252fetc%252fpasswd",
    "..%5c..%5cetc%5cpasswd",
    "%c0%ae%c0%ae/etc/passwd",
    "%00",
    "app.bin%00.txt",
    "app.bin/",
    "./app.bin",
    "APP.BIN",
    "%e2%80%aeapp.bin",
    "%ff%fe",
    "",
)


@at_both
@pytest.mark.parametrize("path", OUTSIDE)
def test_no_path_leaves_the_artifact(daemons: Daemons, at: str, path: str) -> None:
    answer = daemons.ask(at, "GET", f"/files/{daemons.manifest.id}/{path}")
    assert b"root:" not in answer.body
    refused(answer, 400, 404)


@at_both
@pytest.mark.parametrize(
    "wrong",
    [
        "blake3:" + "0" * 63,
        "blake3:" + "0" * 65,
        "blake3:" + "G" * 64,
        "BLAKE3:" + "0" * 64,
        "sha256:" + "0" * 64,
        "0" * 64,
        "%2e%2e",
        "blake3:%00" + "0" * 61,
        "x" * 5000,
    ],
)
def test_an_id_that_is_none_is_refused_everywhere(daemons: Daemons, at: str, wrong: str) -> None:
    for path in ("artifacts/{}", "artifacts/{}/manifest", "swarms/{}"):
        problem = refused(daemons.ask(at, "GET", f"{V1}/{path.format(wrong)}"), 400, 404)
        assert len(str(problem["detail"])) < 300
    refused(daemons.ask(at, "GET", f"/files/{wrong}/app.bin"), 400, 404)


@at_both
@pytest.mark.parametrize(
    "name",
    ["-a/1", "a%20b/1", "a/-1", "a%2f%2e%2e/1", "%F0%9F%98%80/1", "blake3/1", "a/" + "x" * 200],
)
def test_a_name_that_breaks_a_rule_is_refused(daemons: Daemons, at: str, name: str) -> None:
    body = json.dumps({"artifact": daemons.manifest.id}).encode()
    problem = refused(daemons.ask(at, "GET", f"{V1}/names/{name}"), 400)
    assert problem["code"] == "usage"
    refused(daemons.ask(at, "PUT", f"{V1}/names/{name}", body, role="publish"), 400)


# --- ranges --------------------------------------------------------------------------------------

WHOLE = "all"

RANGES: list[tuple[str, object]] = [
    ("bytes=0-0", (0, 1)),
    ("bytes=5-", (5, None)),
    ("bytes=-7", (-7, None)),
    ("bytes=0-99999999999999999999999", (0, None)),
    ("bytes=-99999999999999999999999", (0, None)),
    ("BYTES=1-2", (1, 3)),
    ("bytes= 1-2", (1, 3)),
    # no byte of the file is in it
    ("bytes=99999999999999999999-", 416),
    ("bytes=700000-", 416),
    ("bytes=-0", 416),
    # to be ignored: RFC 9110, section 14.2
    ("bytes=9-5", WHOLE),
    ("bytes=abc", WHOLE),
    ("bytes=", WHOLE),
    ("bytes=-", WHOLE),
    ("bytes", WHOLE),
    ("chars=0-1", WHOLE),
    ("bytes=0-1,5-6", WHOLE),
    ("bytes=--5", WHOLE),
    ("bytes=+1-2", WHOLE),
    ("bytes=1_0-20", WHOLE),
    ("bytes=0x1-0x2", WHOLE),
    ("bytes=" + ",".join("0-" for _ in range(1000)), WHOLE),
    ("bytes=1-" + "9" * 5000, (1, None)),
]


@at_both
@pytest.mark.parametrize(("text", "expected"), RANGES, ids=[text[:40] for text, _ in RANGES])
def test_a_range_is_served_refused_or_ignored(
    daemons: Daemons, at: str, text: str, expected: object
) -> None:
    answer = daemons.ask(at, "GET", daemons.files, Range=text)
    if expected == 416:
        assert (answer.status, answer.body) == (416, b"")
        assert answer.headers["content-range"] == f"bytes */{len(daemons.content)}"
    elif expected == WHOLE:
        assert (answer.status, answer.body) == (200, daemons.content)
    else:
        assert isinstance(expected, tuple)
        assert (answer.status, answer.body) == (206, daemons.content[slice(*expected)])
        said = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers["content-range"])
        assert said and int(said[2]) - int(said[1]) + 1 == len(answer.body)


# --- bodies --------------------------------------------------------------------------------------

BODIES = {
    "nothing": b"",
    "no JSON": b"<html>",
    "a list": b"[]",
    "a number": b"1e999",
    "NaN": b'{"artifact": NaN}',
    "half": b'{"artifact": "blake3:',
    "two": b'{"artifact": 1}{"artifact": 2}',
    "no UTF-8": b'{"artifact": "\xff\xfe"}',
    "a lone surrogate": rb'{"artifact": "\ud800"}',
    "deep lists": b"[" * 60_000,
    "deep objects": b'{"artifact":' * 5_000,
    "the wrong type": b'{"artifact": 7}',
    "null": b'{"artifact": null}',
    "an id of 63 digits": json.dumps({"artifact": ZEROS[:-1]}).encode(),
    "an id with a line end": json.dumps({"artifact": ZEROS + "\n"}).encode(),
    "a field too many": json.dumps({"artifact": ZEROS, "path": "/etc/passwd"}).encode(),
}


@at_both
@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_request_to_publish_is_refused(
    daemons: Daemons, at: str, name: str
) -> None:
    answer = daemons.ask(at, "PUT", f"{V1}/names/app/1", BODIES[name], role="publish")
    refused(answer, 400)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_fetch_is_refused(daemons: Daemons, name: str) -> None:
    refused(daemons.ask("node", "POST", f"{V1}/transfers", BODIES[name]), 400)


@pytest.mark.parametrize(
    "wanted",
    [
        {"sources": [["127.0.0.1", 99999]]},
        {"sources": [["127.0.0.1", 0]]},
        {"sources": [["127.0.0.1", -1]]},
        {"sources": [["127.0.0.1", 1 << 70]]},
        {"sources": [["a.name.example", 7301]]},
        {"sources": [["224.0.0.1", 7301]]},
        {"sources": [["0.0.0.0", 7301]]},
        {"sources": [["x" * 1000, 7301]]},
        {"sources": ["127.0.0.1:7301"]},
        {"sources": [["127.0.0.1"]]},
        {"sources": [["127.0.0.1", 7301]] * 1000},
        {"only_sources": "yes"},
        {"into": "/etc"},
    ],
    ids=lambda wanted: str(wanted)[:50],
)
def test_a_fetch_from_what_is_no_machine_is_refused(
    daemons: Daemons, wanted: dict[str, object]
) -> None:
    body = json.dumps({"artifact": ZEROS} | wanted).encode()
    refused(daemons.ask("node", "POST", f"{V1}/transfers", body), 400)
    assert daemons.ask("node", "GET", f"{V1}/transfers/{ZEROS}").status == 404


@at_both
@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "7301x", "\u0663", "1e3", "9" * 5000])
def test_an_upload_from_no_port_is_refused(daemons: Daemons, at: str, port: str) -> None:
    path = f"{V1}/uploads/{daemons.manifest.id}?port={quote(port)}"
    refused(daemons.ask(at, "PUT", path, daemons.manifest.raw, role="publish"), 400)


@at_both
@pytest.mark.parametrize("path", [f"{V1}/names/app/1", f"{V1}/artifacts/{ZEROS}/manifest"])
def test_a_body_over_the_limit_is_refused(daemons: Daemons, at: str, path: str) -> None:
    head = (
        f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {1 << 40}\r\n"
        f"Authorization: {daemons.bearer('publish')}\r\n\r\n"
    )
    if at == "serve" or "names" in path:
        refused(daemons.say(at, head.encode()), 413)


@at_both
def test_a_body_that_grows_when_it_is_unpacked_is_refused(daemons: Daemons, at: str) -> None:
    bomb = gzip.compress(bytes(64 << 20))
    head = (
        f"PUT {V1}/names/app/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(bomb)}\r\n"
        f"Content-Encoding: gzip\r\nAuthorization: {daemons.bearer('publish')}\r\n\r\n"
    )
    refused(daemons.say(at, head.encode() + bomb), 400, 413, 415)


@pytest.mark.parametrize(
    "body", [b"", b"\x00", b"\xff" * 1000, b"\x91" * 100_000, b"\x93\x01\xc4\x02ab\x90", b"{}"]
)
@at_both
def test_a_body_that_is_no_exchange_of_gossip_is_refused(
    daemons: Daemons, at: str, body: bytes
) -> None:
    refused(daemons.ask(at, "POST", f"{V1}/gossip", body), 400)


@pytest.mark.parametrize(
    "query", ["kinds=everything", "kinds=" + "x" * 5000, "kinds=swarm%0aid:1", "kinds=%ff"]
)
def test_events_of_an_unknown_kind_are_refused(daemons: Daemons, query: str) -> None:
    refused(daemons.ask("serve", "GET", f"{V1}/events?{query}"), 400)
