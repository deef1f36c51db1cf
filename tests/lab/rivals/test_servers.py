"""One server and curl, as small as it can be."""

from pathlib import Path

import pytest

from strew.errors import PartialError
from strew.lab.network import Bench
from strew.lab.rivals.servers import Nginx, Server, StrewServer
from tests.lab.rivals.small import SMALL, run, run_late
from tests.lab.root import needs_root

pytestmark = needs_root


@pytest.mark.parametrize("server", [Nginx(), StrewServer()], ids=lambda server: server.name)
async def test_all_get_the_file(server: Server, temporary: Path) -> None:
    result = await run(server, SMALL, temporary)
    # everybody has it from the one server
    assert result.origin_link_ratio > SMALL.nodes


async def test_a_late_machine(temporary: Path) -> None:
    await run_late(Nginx(), temporary)


async def test_a_server_that_does_not_have_it(temporary: Path) -> None:
    class Forgetful(Nginx):
        async def _serve(self, bench: Bench, source: Path) -> str:
            return await super()._serve(bench, source) + "-lost"

    with pytest.raises(PartialError, match=r"curl on host [123] failed: .*404"):
        await run(Forgetful(), SMALL, temporary)
