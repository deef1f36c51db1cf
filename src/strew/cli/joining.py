"""What to type on another machine: the commands that a first process prints."""

import socket

from strew.agent.settings import NODE_PORT
from strew.cli.fleetkey import is_loopback
from strew.content.reference import Address
from strew.fleet import FleetKey

EVERY_CARD = ("0.0.0.0", "::")

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
