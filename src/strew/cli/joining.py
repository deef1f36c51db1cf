"""What to type on another machine: the commands that a first process prints."""

from strew.agent.gossiping import own_host
from strew.agent.settings import NODE_PORT
from strew.cli.fleetkey import is_loopback
from strew.content.reference import Address
from strew.fleet import FleetKey

NODES_LISTEN = f"0.0.0.0:{NODE_PORT}"


def join_command(key: FleetKey, address: Address) -> str:
    """How a machine joins through the process at `address`; with the fleet's secret in it."""
    # a node that listens on loopback only can fetch from others and give them nothing
    listen = "" if is_loopback(address) else f" --listen {NODES_LISTEN}"
    reached = reachable(address)
    return f"{_secret(key)} strew node --join {reached}{listen} --follow '*' --into DIR"


def push_command(key: FleetKey, address: Address) -> str:
    """How to publish there; with the fleet's secret in it."""
    return f"{_secret(key)} strew push PATH NAME:TAG --at {reachable(address)}"


def _secret(key: FleetKey) -> str:
    return f"STREW_FLEET_KEY={key.text}"


def reachable(address: Address) -> Address:
    """The address to tell others: of the card that leads outside, where all are listened on."""
    return Address(own_host(address, ()), address.port)
