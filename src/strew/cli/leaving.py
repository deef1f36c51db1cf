"""How a service leaves its fleet: nothing that only it has is lost to the others."""

from strew.agent.agent import Agent
from strew.cli.output import Output


async def hand_over(agent: Agent, out: Output) -> None:
    """Give away what nobody else has, within a bounded time; to be called once the service was
    told to end. A second signal ends the process meanwhile."""
    assert agent.node is not None
    owed = agent.node.owed
    if owed:
        out.event("leaving", chunks=owed)
        out.note(f"handing over {owed} chunks that only this node has; a second signal ends it now")
    left = await agent.hand_over()
    if left:
        out.warn(f"{left} chunks that only this node has were not handed over: start it again")
