"""`strew serve`: tracker and origin in one process, on one port."""

import asyncio
import shlex

import msgspec

from strew.agent.process import open_agent, open_guard, open_tracker, peer_id_in
from strew.agent.settings import Settings
from strew.agent.supervision import supervised
from strew.agent.trusting import Trusting, open_trusting
from strew.cli.call import command_app
from strew.cli.ending import EXIT_BY_SIGNAL, signalled
from strew.cli.flags import ConfigFlags, RateFlags, ServeFlags, StoreFlags, configuration
from strew.cli.fleetkey import is_loopback, serving_key
from strew.cli.joining import (
    STRICT,
    dashboard_address,
    join_command,
    push_command,
    token_command,
)
from strew.cli.leaving import hand_over
from strew.cli.logs import configure_logs
from strew.cli.output import Output
from strew.cli.transfers import Transfers
from strew.content.reference import Address
from strew.dashboard import assets as dashboard
from strew.fleet import FleetKey
from strew.store.disk import DiskStore

app = command_app(
    "serve",
    "Run a fleet's tracker and origin, until SIGTERM or Ctrl-C.\n\n"
    "Only this machine can reach it unless --listen names another address, such as 0.0.0.0:7300. "
    "The first start makes the fleet's key and keeps it in the data folder.",
)


@app.default
async def serve(
    *,
    serving: ServeFlags = ServeFlags(),
    store: StoreFlags = StoreFlags(),
    rates: RateFlags = RateFlags(),
    file: ConfigFlags = ConfigFlags(),
    out: Output = Output(),
) -> int:
    """Serve what is pushed here; prints how to join."""
    found = configuration("serve", file, rates, store, serving)
    configure_logs(found)
    settings = msgspec.structs.replace(found.settings, follow=())
    folder = settings.data_folder
    disk = await asyncio.to_thread(DiskStore, folder)
    try:
        key = serving_key(settings)
        transfers = Transfers(out)
        with open_trusting(settings, key, folder, publishes=True) as trusting:
            async with (
                open_guard(settings) as guard,
                open_tracker(folder, key, guard, trusting) as tracker,
                open_agent(
                    settings,
                    disk,
                    key,
                    peer=peer_id_in(folder),
                    tracker=tracker,
                    guard=guard,
                    trusting=trusting,
                    seeds=(),
                    on_transfer=transfers.begun,
                    pages=dashboard.handlers(),
                ) as agent,
            ):
                address = Address(*agent.address)
                with signalled() as told:  # from before anybody is told that it is there
                    _tell(settings, key, address, agent.identity.node, trusting, out)
                    async with supervised(f"tracker and origin at {address}"):
                        number = await told
                await hand_over(agent, out)
    finally:
        await asyncio.to_thread(disk.close)
    out.note("stopped")
    out.result(host=address.host, port=address.port, transfers=transfers.done)
    return EXIT_BY_SIGNAL[number]


def _tell(
    settings: Settings,
    key: FleetKey,
    address: Address,
    node: str,
    trusting: Trusting,
    out: Output,
) -> None:
    """How to join, as commands to copy; with the fleet's secret in them."""
    own = trusting.signatory.keys[0].text
    join, publish = join_command(key, address, trusting), push_command(key, address)
    page = dashboard_address(settings, key, address)
    out.event(
        "listening",
        host=address.host,
        port=address.port,
        node=node,
        join=join,
        publisher=own,
        dashboard=page,
    )
    data = shlex.quote(str(settings.data_folder))
    out.line(f"tracker and origin at {address}, data in {data}")
    out.line()
    out.line("  to join, on each machine:")
    out.line(f"    {join}")
    out.line("  to publish:")
    out.line(f"    {publish}")
    out.line("  to look:")
    out.line(f"    dashboard: {page}")
    out.line("  to let a machine in without showing it that key, here:")
    out.line(f"    {token_command(settings, address)}")
    if settings.profile == "strict":
        out.note(STRICT)
    out.line()
    if is_loopback(address):
        out.note("only this machine can join; --listen 0.0.0.0:7300 lets others")
