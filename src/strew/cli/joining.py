"""What to type on another machine: the commands that a first process prints."""

from strew.agent.gossiping import own_host
from strew.agent.settings import NODE_PORT
from strew.cli.fleetkey import is_loopback
from strew.content.reference import Address
from strew.fleet import FleetKey
from strew.trust.keys import PublicKey, member_key
from strew.trust.signing import Signatory

NODES_LISTEN = f"0.0.0.0:{NODE_PORT}"


def own_key(signatory: Signatory, fleet: FleetKey) -> PublicKey | None:
    """The key by which names that this process signs are told from those of other members."""
    member = member_key(fleet).public
    return next((key for key in signatory.keys if key != member), None)


def join_command(key: FleetKey, address: Address, publisher: PublicKey | None = None) -> str:
    """How a machine joins through the process at `address`; with the fleet's secret in it. It then
    believes names of `publisher` alone, if one is named."""
    # a node that listens on loopback only can fetch from others and give them nothing
    listen = "" if is_loopback(address) else f" --listen {NODES_LISTEN}"
    reached = reachable(address)
    trust = f" --trust {publisher.text}" if publisher is not None else ""
    return f"{_secret(key)} strew node --join {reached}{listen}{trust} --follow '*' --into DIR"


def push_command(key: FleetKey, address: Address) -> str:
    """How to publish there; with the fleet's secret in it."""
    return f"{_secret(key)} strew push PATH NAME:TAG --at {reachable(address)}"


def _secret(key: FleetKey) -> str:
    return f"STREW_FLEET_KEY={key.text}"


def reachable(address: Address) -> Address:
    """The address to tell others: of the card that leads outside, where all are listened on."""
    return Address(own_host(address, ()), address.port)
