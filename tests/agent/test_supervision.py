"""What a service manager hears, on a socket as systemd would give."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from strew.agent.supervision import ServiceManager
from tests.cli.processes import Running, environment, until

SOON_US = "300000"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The manager's end; what comes in is a datagram a message."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(20.0)
        yield sock


def heard(manager: socket.socket) -> dict[str, str]:
    lines = manager.recv(4096).decode().split("\n")
    return dict(line.split("=", 1) for line in lines)


def test_a_service_says_when_it_is_ready_that_it_lives_and_that_it_ends(
    manager: socket.socket, tmp_path: Path
) -> None:
    env = environment(
        tmp_path, NOTIFY_SOCKET=str(manager.getsockname()), WATCHDOG_USEC=SOON_US, STREW_DATA="data"
    )
    serve = Running("serve", "--listen", "127.0.0.1:0", env=env, cwd=tmp_path)
    try:
        first = heard(manager)
        port = serve.event("listening")["port"]
        assert first == {"READY": "1", "STATUS": f"tracker and origin at 127.0.0.1:{port}"}
        assert [heard(manager) for _ in range(3)] == [{"WATCHDOG": "1"}] * 3
    finally:
        assert serve.stop() == 0
    until(lambda: heard(manager) == {"STOPPING": "1"}, "its end")


def test_a_node_is_ready_before_any_tracker_answers(manager: socket.socket, tmp_path: Path) -> None:
    env = environment(tmp_path, NOTIFY_SOCKET=str(manager.getsockname()), STREW_FLEET_KEY="0" * 64)
    words = ("--join", "127.0.0.1:1", "--listen", "127.0.0.1:0", "--data", "data")
    node = Running("node", *words, env=env, cwd=tmp_path)
    try:
        assert heard(manager)["READY"] == "1"
    finally:
        node.stop()
    assert heard(manager) == {"STOPPING": "1"}


def test_without_a_manager_nothing_is_sent(tmp_path: Path) -> None:
    assert ServiceManager({}).life_sign_every_s is None
    ServiceManager({}).tell("READY=1")


def test_a_manager_that_is_gone_is_no_error(tmp_path: Path) -> None:
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell("READY=1")


def test_an_abstract_name_is_understood(tmp_path: Path) -> None:
    name = f"strew-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        sock.settimeout(20.0)
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).tell("READY=1")
        assert heard(sock) == {"READY": "1"}


@pytest.mark.parametrize("period", ["", "soon", "-5", "0"])
def test_a_watchdog_without_a_period_asks_for_nothing(period: str) -> None:
    environment = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": period}
    assert ServiceManager(environment).life_sign_every_s is None


def test_signs_of_life_that_are_asked_of_another_process_are_not_given() -> None:
    environment = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": SOON_US, "WATCHDOG_PID": "1"}
    assert ServiceManager(environment).life_sign_every_s is None
    environment["WATCHDOG_PID"] = str(os.getpid())
    assert ServiceManager(environment).life_sign_every_s == pytest.approx(0.1)
