"""`strew node`: the agent of a machine."""

import asyncio
import signal

from strew.agent.agent import Agent
from strew.agent.process import open_agent, open_guard, peer_id_in
from strew.agent.settings import Settings
from strew.agent.supervision import supervised
from strew.agent.trusting import open_trusting
from strew.cli.admission import joining_key
from strew.cli.call import command_app
from strew.cli.ending import EXIT_BY_SIGNAL, signalled
from strew.cli.flags import (
    AgentFlags,
    ConfigFlags,
    FollowFlags,
    MemberFlags,
    RateFlags,
    StoreFlags,
    configuration,
)
from strew.cli.fleetkey import is_loopback, serving_key
from strew.cli.joining import STRICT, dashboard_address, join_command, push_command
from strew.cli.leaving import hand_over
from strew.cli.logs import configure_logs
from strew.cli.output import Output
from strew.cli.transfers import Transfers
from strew.content.reference import Address
from strew.dashboard import assets as dashboard
from strew.errors import DiskError
from strew.store.disk import DiskStore

app = command_app(
    "node",
    "Run the agent of this machine, until SIGTERM or Ctrl-C.\n\n"
    "It fetches every artifact whose name it follows as soon as it is published, puts it in place "
    "in one step, and serves what it has to others. 'strew serve' prints the command to join; a "
    "node without --join is the first of a fleet that needs no tracker, and prints it too.",
)


@app.default
async def node(
    *,
    member: MemberFlags = MemberFlags(),
    follow: FollowFlags = FollowFlags(),
    store: StoreFlags = StoreFlags(),
    rates: RateFlags = RateFlags(),
    agent_flags: AgentFlags = AgentFlags(),
    file: ConfigFlags = ConfigFlags(),
    out: Output = Output(),
) -> int:
    """Join a fleet; follow names into a folder."""
    found = configuration("node", file, rates, member, follow, store, agent_flags)
    configure_logs(found)
    settings = found.settings
    _prepare(settings, out)
    disk = await asyncio.to_thread(DiskStore, settings.data_folder)
    try:
        # now that the folder is ours and can be written: a join token is used up by this
        key = await joining_key(found) if settings.join else serving_key(settings)
        transfers = Transfers(out)
        with open_trusting(settings, key, settings.data_folder) as trusting:
            async with (
                open_guard(settings) as guard,
                open_agent(
                    settings,
                    disk,
                    key,
                    peer=peer_id_in(settings.data_folder),
                    trackers=settings.join,
                    seeds=settings.join,
                    into=settings.into.absolute(),
                    guard=guard,
                    trusting=trusting,
                    on_transfer=transfers.begun,
                    pages=dashboard.handlers(),
                ) as agent,
            ):
                address = Address(*agent.address)
                with signalled() as told:  # from before anybody is told that it is there
                    name = agent.identity.node
                    out.event("listening", host=address.host, port=address.port, node=name)
                    welcome = _welcome(settings, address)
                    out.note(welcome)
                    if not settings.join:
                        join = join_command(key, address, trusting)
                        out.line(f"  to join, on each machine:\n    {join}")
                        out.line(f"  to publish:\n    {push_command(key, address)}")
                        out.line(f"  dashboard: {dashboard_address(settings, key, address)}")
                        if settings.profile == "strict":
                            out.note(STRICT)
                    async with supervised(welcome):
                        number = await _told_or_refused(told, agent)
                await hand_over(agent, out)
    finally:
        await asyncio.to_thread(disk.close)
    out.note("stopped")
    out.result(node=name, port=address.port, transfers=transfers.done)
    return EXIT_BY_SIGNAL[number]


async def _told_or_refused(told: asyncio.Future[signal.Signals], agent: Agent) -> signal.Signals:
    """Wait for the signal to end. DeniedError if the fleet does not let this machine in."""
    refused = agent.trackers.refused
    await asyncio.wait((told, refused), return_when=asyncio.FIRST_COMPLETED)
    if refused.done():
        raise refused.result()
    return told.result()


def _prepare(settings: Settings, out: Output) -> None:
    """Make the folder that followed artifacts appear in; warn of what will not work."""
    if settings.follow:
        try:
            settings.into.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskError(
                f"cannot make folder {str(settings.into)!r}: {error.strerror}",
                hint="name another with --into",
            ) from None
    if is_loopback(settings.listen) and not all(map(is_loopback, settings.join)):
        out.warn(
            f"other machines cannot fetch from {settings.listen}: "
            f"give --listen 0.0.0.0:{settings.listen.port}, or an address of this machine"
        )


def _welcome(settings: Settings, address: Address) -> str:
    joins = ", ".join(map(str, settings.join))
    follows = ", ".join(settings.follow)
    how = f"joining {joins}" if joins else "the first of its fleet"
    what = f"following {follows} into {settings.into}" if follows else "following nothing"
    return f"node at {address}, {how}, {what}"
