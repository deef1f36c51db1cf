"""Whether programs are there, and listen."""

import asyncio
import socket
import sys
from asyncio.subprocess import DEVNULL

import pytest

from strew.errors import PartialError
from strew.lab.rivals.programs import listening, missing_module, missing_program

LISTEN = "import socket, sys; s = socket.create_server(('127.0.0.1', {})); sys.stdin.read()"


def test_what_is_installed_is_not_missing() -> None:
    assert missing_program("sh", "dash") is None
    assert missing_module("msgspec") is None


def test_what_is_missing_is_named_with_its_package() -> None:
    lacks = missing_program("strew-no-such-program", "no-such-package")
    assert lacks is not None
    assert "'strew-no-such-program' is not installed" in lacks
    assert "apt-get install no-such-package" in lacks
    assert "pip install strew_no_such_module" in (missing_module("strew_no_such_module") or "")


async def test_a_port_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LISTEN.format(port), stdin=asyncio.subprocess.PIPE
    )
    await listening(process, port, "server")
    with socket.create_connection(("127.0.0.1", port)):
        pass
    await process.communicate(b"")


async def test_who_ends_before_it_listens_is_named() -> None:
    process = await asyncio.create_subprocess_exec("false", stdout=DEVNULL)
    with pytest.raises(PartialError, match="server ended before it listened: exit code 1"):
        await listening(process, 1, "server")
