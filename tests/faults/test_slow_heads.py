"""Five hundred connections that never finish their head, at a real node: others are served, and
the node is rid of them by itself."""

from __future__ import annotations

import resource
import socket
import time
from pathlib import Path

import pytest

from strew.transfer.web import HEAD_WITHIN_S
from tests.cli.processes import until
from tests.members import Members

SLOW = 500
HONEST_WITHIN_S = 2.0
"""On a machine that does other things as well; bench/attacks.py measures it."""


@pytest.fixture(autouse=True)
def descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def is_ended(sock: socket.socket) -> bool:
    """Whether the other side has ended the connection; what it said before is read."""
    try:
        while sock.recv(4096):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@pytest.mark.faults
@pytest.mark.long
def test_a_node_serves_others_and_ends_slow_heads_in_time(tmp_path: Path) -> None:
    with Members(tmp_path) as members:
        node = members.member("alone")
        slow = []
        started_s = time.monotonic()
        for _ in range(SLOW):
            sock = socket.create_connection(("127.0.0.1", node.port))
            sock.sendall(b"GET /api/v1/node HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            sock.setblocking(False)
            slow.append(sock)
        worst_s = 0.0
        while time.monotonic() - started_s < HEAD_WITHIN_S / 2:
            asked_s = time.monotonic()
            assert node.node()["id"]
            worst_s = max(worst_s, time.monotonic() - asked_s)
            time.sleep(0.02)
        assert not any(map(is_ended, slow)), "they have their time"
        until(lambda: all(map(is_ended, slow)), "slow heads to be ended", 2 * HEAD_WITHIN_S)
        took_s = time.monotonic() - started_s
        print(f"worst honest answer {1000 * worst_s:.0f} ms; all ended after {took_s:.1f} s")
        assert worst_s < HONEST_WITHIN_S
        for sock in slow:
            sock.close()
        assert node.node()["id"]
