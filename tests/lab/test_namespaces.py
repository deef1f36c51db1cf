"""Namespaces made, entered, and seen from outside."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from strew.errors import ConfigurationError, DeniedError
from strew.lab import namespaces
from tests.lab.root import needs_root

NAME = f"strewlab{os.getpid()}-test"


@pytest.fixture
def namespace() -> Iterator[str]:
    namespaces.tell("ip", [f"netns add {NAME}"])
    yield NAME
    namespaces.tell("ip", [f"netns delete {NAME}"])


def own() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


@needs_root
def test_a_thread_goes_in_and_comes_back(namespace: str) -> None:
    before = own()
    with namespaces.entered(namespace):
        assert own() == namespaces.inode(namespace) != before
        assert "eth0" not in Path("/proc/thread-self/net/dev").read_text()
    assert own() == before


@needs_root
def test_a_socket_stays_where_it_was_made(namespace: str) -> None:
    namespaces.tell("ip", ["link set lo up"], namespace)
    with namespaces.tcp_socket(namespace) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address = listening.getsockname()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        with namespaces.entered(namespace):
            socket.create_connection(address).close()


@needs_root
def test_inhabitants_are_seen(namespace: str) -> None:
    child = subprocess.Popen(["ip", "netns", "exec", namespace, "sleep", "60"])
    try:
        while not namespaces.inhabitants([namespace])[namespace]:
            assert child.poll() is None
        assert namespaces.inhabitants([namespace]) == {namespace: [child.pid]}
    finally:
        child.kill()
        child.wait()
    assert namespaces.inhabitants([namespace, "strewlab-none"]) == {
        namespace: [],
        "strewlab-none": [],
    }


def test_what_a_tool_complains_of_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"'ip -batch -': Object .* is unknown"):
        namespaces.tell("ip", ["nonsense"])
    with pytest.raises(ConfigurationError, match="'strew-no-such-tool' is not installed"):
        namespaces.run(["strew-no-such-tool"])


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root's rights")
def test_without_rights_it_is_denied() -> None:
    bare = ["setpriv", "--reuid", "65534", "--clear-groups"]
    with pytest.raises(DeniedError, match="this machine lets nobody make networks"):
        namespaces.run([*bare, "ip", "link", "add", "strewlab-x", "type", "bridge"])
