"""Each finding of `strew doctor` that takes another machine, at real processes."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from strew.cli import reaching
from strew.lab import namespaces
from strew.lab.network import CARD, open_bench
from strew.lab.terms import Terms
from tests.cli.processes import Done, call, run
from tests.faults.hosts import Machines
from tests.faults.injection import strace
from tests.faults.test_clocks import LIBRARIES
from tests.lab.root import needs_root
from tests.machines import Fleet

AHEAD_S = 7200


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        fleet.env["STREW_FLEET_KEY"] = fleet.key.text
        yield fleet


def found(done: Done) -> dict[str, dict[str, str]]:
    """The findings by check; each that is not ok has a remedy, and only those."""
    findings = done.final["findings"]
    assert all(bool(of["remedy"]) is (of["level"] != "ok") for of in findings)
    failed = [of for of in findings if of["level"] == "failed"]
    assert done.code == (1 if failed else 0)
    return {of["check"]: of for of in findings}


def doctor(fleet: Fleet, *words: str) -> dict[str, dict[str, str]]:
    """In this process, as a machine that is to join."""
    flags = ("--listen", "127.0.0.1:0", "--join", fleet.at, "--data", "doctor.data")
    words = ("doctor", *(words or flags), "--json")
    return found(call(*words, env=fleet.env, cwd=fleet.folder))


def levels(findings: dict[str, dict[str, str]], *checks: str) -> list[str]:
    return [findings[check]["level"] for check in checks]


def test_a_machine_that_is_reached_hears_so(fleet: Fleet) -> None:
    findings = doctor(fleet)
    checks = ("version", "clock skew", "reached", "reached udp", "path", "tracker", "port")
    assert levels(findings, *checks) == ["ok"] * len(checks)
    assert "16 KiB" in findings["path"]["detail"]


def test_where_a_node_runs_that_node_is_dialled(fleet: Fleet) -> None:
    node = fleet.node("one")
    at = f"127.0.0.1:{node.port}"
    findings = doctor(fleet, "--listen", at, "--join", fleet.at, "--data", "doctor.data")
    assert levels(findings, "reached", "sharing") == ["ok", "ok"]
    assert findings["port"]["level"] == "warning" and "is taken" in findings["port"]["detail"]
    assert "reached udp" not in findings


def test_a_node_can_be_asked_as_well_as_a_tracker(fleet: Fleet) -> None:
    node = fleet.node("two")
    at = f"127.0.0.1:{node.port}"
    findings = doctor(fleet, "--listen", "127.0.0.1:0", "--join", at, "--data", "doctor.data")
    assert levels(findings, "version", "reached", "reached udp", "path") == ["ok"] * 4


def test_a_port_that_only_udp_cannot_have_is_seen_by_the_other_side(fleet: Fleet) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        with socket.socket() as free:  # a port that no connection has, either
            free.bind(("127.0.0.1", 0))
            taken.bind(free.getsockname())
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        findings = doctor(fleet, "--listen", at, "--join", fleet.at, "--data", "doctor.data")
    assert levels(findings, "port", "reached", "reached udp") == ["warning", "ok", "warning"]
    assert "UDP" in findings["reached udp"]["remedy"]


def test_another_version_is_a_warning(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "__version__", "9.9.9")
    findings = doctor(fleet)
    assert levels(findings, "version", "reached") == ["warning", "ok"]
    assert "9.9.9" in findings["version"]["detail"]


def test_another_fleets_key_is_said_to_be_that(fleet: Fleet) -> None:
    words = ("--listen", "127.0.0.1:0", "--join", fleet.at, "--data", "doctor.data")
    findings = doctor(fleet, *words, "--fleet-key", "ab" * 32)
    assert findings["fleet key"]["level"] == "failed"
    assert "reached" not in findings


def test_who_is_older_is_said_to_be_unable(fleet: Fleet) -> None:
    class Older(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(200)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(404)

        def answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not on the test's output."""

    server = HTTPServer(("127.0.0.1", 0), Older)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    at = f"127.0.0.1:{server.server_port}"
    findings = doctor(fleet, "--listen", "127.0.0.1:0", "--join", at, "--data", "doctor.data")
    server.shutdown()
    thread.join()
    server.server_close()
    assert findings["reached"]["level"] == "warning" and "older" in findings["reached"]["detail"]


def wrapped(fleet: Fleet, wrapping: Sequence[str]) -> dict[str, dict[str, str]]:
    """As a process of its own, with something before its command."""
    words = ("doctor", "--listen", "127.0.0.1:0", "--join", fleet.at, "--data", "doctor.data")
    return found(run(*words, "--json", env=fleet.env, cwd=fleet.folder, wrapped=wrapping))


def test_a_clock_that_is_ahead_is_seen_by_the_other_sides(fleet: Fleet) -> None:
    library = next((path for path in LIBRARIES if path.exists()), None)
    if library is None:
        pytest.skip("libfaketime is not installed (make test-tools)")
    variables = (f"LD_PRELOAD={library}", f"FAKETIME=+{AHEAD_S}s", "FAKETIME_DONT_FAKE_MONOTONIC=1")
    findings = wrapped(fleet, ["env", *variables])
    assert findings["clock skew"]["level"] == "warning"
    assert f"{AHEAD_S} s" in findings["clock skew"]["detail"]


def test_a_slow_disk_and_a_clock_that_nobody_keeps_are_seen(fleet: Fleet, tmp_path: Path) -> None:
    """The kernel's answers are made up: a flush takes three seconds, and the clock runs free."""
    faults = ("inject=fsync:delay_enter=3000000", "inject=adjtimex,clock_adjtime:retval=5")
    calls = "trace=fsync,adjtimex,clock_adjtime"
    findings = wrapped(fleet, strace(tmp_path / "log", calls, *faults))
    assert levels(findings, "disk speed", "time sync") == ["warning", "warning"]
    assert "NTP" in findings["time sync"]["remedy"]


def test_a_clock_that_somebody_keeps_is_well(fleet: Fleet, tmp_path: Path) -> None:
    calls = "trace=adjtimex,clock_adjtime"
    fault = "inject=adjtimex,clock_adjtime:retval=0"
    findings = wrapped(fleet, strace(tmp_path / "log", calls, fault))
    assert findings["time sync"]["level"] == "ok"


@needs_root
def test_on_machines_of_their_own_a_closed_port_and_a_narrow_path_are_told_apart(
    tmp_path: Path,
) -> None:
    """One listens where others cannot come. Another's network drops full packets and tells
    nobody."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    with asyncio.Runner() as runner:
        opening = open_bench(Terms(nodes=1, rate_bytes_per_s=None), tmp_path / "bench")
        bench = runner.run(opening.__aenter__())
        try:
            with Machines(folder, bench) as machines:
                tracker = machines.tracker("tracker", **machines.on(0))
                here = bench.hosts[1]

                def looked(listen: str) -> dict[str, dict[str, str]]:
                    words = ("doctor", "--listen", listen, "--join", tracker.at, "--json")
                    enter = bench.wrapping(here)
                    return found(run(*words, env=machines.env, cwd=folder, wrapped=enter))

                closed = looked("127.0.0.1:7301")
                assert levels(closed, "port", "reached", "reached udp", "path") == [
                    *("warning", "failed", "warning", "ok")
                ]
                assert here.address in closed["reached"]["detail"]
                checks = ("port", "reached", "reached udp", "path")
                assert levels(looked(f"{here.address}:7301"), *checks) == ["ok"] * 4
                narrow(bench.hosts[1].port, machines._switch, bench.hosts)
                told = looked(f"{here.address}:7301")
                assert levels(told, *checks) == ["ok", "ok", "warning", "failed"]
                assert "MTU" in told["path"]["remedy"]
        finally:
            runner.run(opening.__aexit__(None, None, None))


def narrow(port: str, switch: str, hosts: Sequence[object]) -> None:
    """Have a link carry short packets alone; cards hand on packets one by one, so that each is
    measured."""
    namespaces.tell("ip", [f"link set {port} mtu 600"], switch)
    for host in hosts:
        namespaces.tell("ip", [f"link set {CARD} gso_max_segs 1"], host.namespace)
