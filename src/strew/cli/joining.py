"""What to type on another machine: the commands that a first process prints."""

import shlex

from strew.agent.gossiping import own_host
from strew.agent.settings import NODE_PORT
from strew.agent.trusting import Trusting
from strew.cli.fleetkey import is_loopback
from strew.content.reference import Address
from strew.fleet import FleetKey
from strew.trust.keys import member_key
from strew.trust.policy import Anchor

NODES_LISTEN = f"0.0.0.0:{NODE_PORT}"


def join_command(key: FleetKey, address: Address, trusting: Trusting) -> str:
    """How a machine joins through the process at `address`; with the fleet's secret in it. It then
    believes whom this process believes, if that has a key of its own or names anybody."""
    # a node that listens on loopback only can fetch from others and give them nothing
    listen = "" if is_loopback(address) else f" --listen {NODES_LISTEN}"
    reached = reachable(address)
    trust = "".join(f" --trust {shlex.quote(str(of))}" for of in anchors_of(trusting, key))
    return f"{_secret(key)} strew node --join {reached}{listen}{trust} --follow '*' --into DIR"


def anchors_of(trusting: Trusting, fleet: FleetKey) -> list[Anchor]:
    """Whom others should trust who join here: this process, and whom it trusts by name."""
    own = [Anchor(of) for of in trusting.signatory.keys if of != member_key(fleet).public]
    told = dict.fromkeys((*own, *trusting.trust.anchors))
    return [anchor for anchor in told if anchor.key.id not in trusting.trust.revoked]


def push_command(key: FleetKey, address: Address) -> str:
    """How to publish there; with the fleet's secret in it."""
    return f"{_secret(key)} strew push PATH NAME:TAG --at {reachable(address)}"


def _secret(key: FleetKey) -> str:
    return f"STREW_FLEET_KEY={key.text}"


def reachable(address: Address) -> Address:
    """The address to tell others: of the card that leads outside, where all are listened on."""
    return Address(own_host(address, ()), address.port)
