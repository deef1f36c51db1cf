"""Each finding of `strew doctor`, on a machine that has the fault and on one that has not."""

import contextlib
import json
import resource
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from strew.agent.config import load
from strew.agent.settings import Settings
from strew.cli import checkup
from strew.cli.checkup import Finding, examine
from strew.cli.main import main
from tests.certificates.issued import Issuer


def settings_with(**flags: str) -> Settings:
    given = {key.replace("_", "-"): value for key, value in flags.items()}
    return load({"listen": "127.0.0.1:0", "data": "/tmp"} | given, environ={}).settings


def findings(check: str, settings: Settings) -> list[Finding]:
    return [finding for finding in examine(settings) if finding.check == check]


@pytest.fixture
def tracker() -> Iterator[tuple[HTTPServer, str]]:
    """An HTTP server that answers /healthz."""

    class Handler(BaseHTTPRequestHandler):
        date: str | None = None
        status = 200

        def do_GET(self) -> None:
            self.send_response_only(self.status)
            self.send_header("Date", self.date or self.date_time_string())
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server, f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_good_machine_has_no_failed_finding() -> None:
    assert not [f for f in examine(settings_with()) if f.level == "failed"]


def test_every_finding_that_is_not_ok_has_a_remedy() -> None:
    bad = settings_with(data="/proc/nowhere", join="127.0.0.1:1", listen="192.0.2.1:7301")
    found = list(examine(bad))
    assert {f.check for f in found if f.level == "failed"} >= {"store", "port", "tracker"}
    assert all(bool(f.remedy) is (f.level != "ok") for f in found)


def test_a_taken_port_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        (finding,) = findings("port", settings_with(listen=address))
    assert finding.level == "warning" and "is taken" in finding.detail


def test_a_port_that_only_udp_lacks_is_seen() -> None:
    with contextlib.ExitStack() as sockets:
        # Bound but not listened on, with the flag that the doctor sets too: free for it alone.
        free = sockets.enter_context(socket.socket())
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", 0))
        taken = sockets.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        taken.bind(free.getsockname())
        address = f"127.0.0.1:{free.getsockname()[1]}"
        (finding,) = findings("port", settings_with(listen=address))
    assert finding.level == "warning" and "is taken for UDP" in finding.detail


def test_loopback_is_enough_for_a_tracker_on_loopback() -> None:
    assert findings("port", settings_with(join="127.0.0.1:1"))[0].level == "ok"
    (finding,) = checkup._port(settings_with(join="192.0.2.1:7300"))
    assert finding.level == "warning" and "only this machine" in finding.detail


def test_a_tracker_that_answers_is_ok(tracker: tuple[HTTPServer, str]) -> None:
    (finding,) = findings("tracker", settings_with(join=tracker[1]))
    assert finding.level == "ok", finding


def test_a_tracker_with_another_clock_is_a_warning(tracker: tuple[HTTPServer, str]) -> None:
    server, address = tracker
    server.RequestHandlerClass.date = "Sat, 01 Jan 2000 00:00:00 GMT"  # type: ignore[attr-defined]
    (finding,) = findings("tracker", settings_with(join=address))
    assert finding.level == "warning" and "clocks differ" in finding.detail


def test_something_else_that_speaks_http_is_no_tracker(tracker: tuple[HTTPServer, str]) -> None:
    server, address = tracker
    server.RequestHandlerClass.status = 404  # type: ignore[attr-defined]
    (finding,) = findings("tracker", settings_with(join=address))
    assert finding.level == "failed" and "answered 404" in finding.detail


def test_few_descriptors_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    (finding,) = findings("open files", settings_with())
    assert finding.level == "warning" and finding.remedy == "ulimit -n 1024"
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 512))
    assert "hard limit" in findings("open files", settings_with())[0].remedy


def test_a_clock_that_was_never_set_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup.time, "time", lambda: 0.0)
    assert findings("clock", settings_with())[0].level == "failed"


def test_a_full_disk_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for free_bytes, level in ((1 << 20, "failed"), (1 << 28, "warning"), (1 << 40, "ok")):
        usage = type("Usage", (), {"free": free_bytes})
        monkeypatch.setattr(checkup.shutil, "disk_usage", lambda _, usage=usage: usage)
        assert findings("store", settings_with(data=str(tmp_path)))[0].level == level


def test_a_file_in_place_of_the_folder_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert findings("store", settings_with(data=str(file)))[0].level == "failed"


def test_the_command_prints_findings_and_ends_with_1_if_one_failed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    words = ["doctor", "--listen", "127.0.0.1:0", "--data", str(tmp_path)]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("ok ")
    assert main([*words, "--join", "127.0.0.1:1", "--json"]) == 1
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [o["type"] for o in objects][-2:] == ["finding", "result"]
    assert objects[-1]["able"] is False and objects[-1]["failed"] == 1


def test_a_certificate_is_looked_at_in_profile_strict_alone(tmp_path: Path) -> None:
    assert findings("certificate", settings_with()) == []
    issuer = Issuer(tmp_path / "ca")

    def found(for_s: float, at_s: float) -> Finding:
        files = issuer.files("box", for_s=for_s, at_s=at_s)
        [finding] = findings(
            "certificate",
            settings_with(
                profile="strict",
                tls_ca=str(files.ca),
                tls_cert=str(files.certificate),
                tls_key=str(files.key),
            ),
        )
        return finding

    good = found(3600, 0)
    assert good.level == "ok" and issuer.authority.peer_of("box") in good.detail
    late = found(3600, -3500)
    assert late.level == "warning" and "not renewed in time" in late.detail
    ended = found(3600, -3700)
    assert ended.level == "failed" and "expired" in ended.detail and ended.remedy
    [missing] = findings("certificate", settings_with(profile="strict"))
    assert missing.level == "failed" and "--tls-ca" in missing.detail
