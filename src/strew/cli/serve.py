"""`strew serve`: tracker and origin in one process, on one port."""

import asyncio
import shlex
import socket

import msgspec

from strew.agent.process import open_agent, open_tracker, peer_id_in
from strew.agent.settings import NODE_PORT, Settings
from strew.cli.call import command_app
from strew.cli.ending import EXIT_BY_SIGNAL, until_signalled
from strew.cli.flags import ConfigFlags, RateFlags, ServeFlags, StoreFlags, configuration
from strew.cli.fleetkey import is_loopback, serving_key
from strew.cli.logs import configure_logs
from strew.cli.output import Output
from strew.cli.transfers import Transfers
from strew.content.reference import Address
from strew.fleet import FleetKey
from strew.store.disk import DiskStore

app = command_app(
    "serve",
    "Run a fleet's tracker and origin, until SIGTERM or Ctrl-C.\n\n"
    "Only this machine can reach it unless --listen names another address, such as 0.0.0.0:7300. "
    "The first start makes the fleet's key and keeps it in the data folder.",
)

EVERY_CARD = ("0.0.0.0", "::")


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
        async with (
            open_tracker(folder, key) as tracker,
            open_agent(
                settings,
                disk,
                key,
                peer=peer_id_in(folder),
                tracker=tracker,
                on_transfer=transfers.begun,
            ) as agent,
        ):
            address = Address(*agent.address)
            _tell(settings, key, address, agent.identity.node, out)
            number = await until_signalled()
    finally:
        await asyncio.to_thread(disk.close)
    out.note("stopped")
    out.result(host=address.host, port=address.port, transfers=transfers.done)
    return EXIT_BY_SIGNAL[number]


NODES_LISTEN = f"0.0.0.0:{NODE_PORT}"


def _tell(settings: Settings, key: FleetKey, address: Address, node: str, out: Output) -> None:
    """How to join, as commands to copy; with the fleet's secret in them."""
    reached = str(_reachable(address))
    secret = f"STREW_FLEET_KEY={key.text}"
    # a node that listens on loopback only can fetch from others and give them nothing
    listen = "" if is_loopback(address) else f" --listen {NODES_LISTEN}"
    join = f"{secret} strew node --join {reached}{listen} --follow '*' --into DIR"
    publish = f"{secret} strew push PATH NAME:TAG --at {reached}"
    out.event("listening", host=address.host, port=address.port, node=node, join=join)
    data = shlex.quote(str(settings.data_folder))
    out.line(f"tracker and origin at {address}, data in {data}")
    out.line()
    out.line("  to join, on each machine:")
    out.line(f"    {join}")
    out.line("  to publish:")
    out.line(f"    {publish}")
    out.line()
    if is_loopback(address):
        out.note("only this machine can join; --listen 0.0.0.0:7300 lets others")


def _reachable(address: Address) -> Address:
    """The address to tell others: of the card that leads outside, where all are listened on."""
    if address.host not in EVERY_CARD:
        return address
    is_v6 = address.host == "::"
    # connecting a datagram socket sends nothing; the addresses are for documentation (RFC 5737,
    # RFC 3849), so that the default route's card is found
    outside = ("2001:db8::1", 9) if is_v6 else ("192.0.2.1", 9)
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(outside)
            return Address(str(probe.getsockname()[0]), address.port)
    except OSError:
        return Address("::1" if is_v6 else "127.0.0.1", address.port)
