"""What to type on another machine: the commands that a first process prints."""

import os
import shlex

from strew.agent.config import default_data_folder
from strew.agent.gossiping import EVERY_CARD, own_host
from strew.agent.settings import NODE_PORT, Settings
from strew.agent.trusting import Trusting
from strew.cli.fleetkey import is_loopback
from strew.content.reference import Address
from strew.fleet import FleetKey

NODES_LISTEN = f"0.0.0.0:{NODE_PORT}"

STRICT = "  and with it: --profile strict --tls-ca CA.pem --tls-cert NAME.pem --tls-key NAME.key"
"""Behind these commands in profile strict: each machine and person has files of its own."""

_FOLLOWING = "--follow '*' --into DIR"


def join_command(key: FleetKey, address: Address, trusting: Trusting) -> str:
    """How a machine joins through the process at `address`; with the fleet's secret in it. It then
    believes whom this process believes, if that has a key of its own or names anybody."""
    trust = "".join(f" --trust {shlex.quote(str(of))}" for of in trusting.told())
    return f"{_secret(key)} {_join(address)}{trust} {_FOLLOWING}"


def join_by_token_command(token: str, address: Address) -> str:
    """The same with a token that is used up by it, in place of the secret."""
    return f"STREW_JOIN_TOKEN={token} {_join(address)} {_FOLLOWING}"


def push_command(key: FleetKey, address: Address) -> str:
    """How to publish there; with the fleet's secret in it."""
    return f"{_secret(key)} strew push PATH NAME:TAG --at {reachable(address)}"


def dashboard_address(settings: Settings, key: FleetKey, address: Address) -> str:
    """Where a browser finds the page, with the fleet's token to look: behind the `#`, which no
    browser sends anywhere."""
    scheme = "https" if settings.profile == "strict" else "http"
    return f"{scheme}://{reachable(address)}/#token={key.viewer_token()}"


def token_command(settings: Settings, address: Address) -> str:
    """How to make a join token on this machine, for the process of these settings."""
    every = address.host in EVERY_CARD
    at = Address("::1" if ":" in address.host else "127.0.0.1", address.port) if every else address
    usual = default_data_folder(os.environ, "serve")
    found = is_loopback(at) and settings.data_folder == usual
    data = "" if found else f" --data {shlex.quote(str(settings.data_folder.absolute()))}"
    return f"strew token new --role join --at {at}{data}"


def _join(address: Address) -> str:
    # a node that listens on loopback only can fetch from others and give them nothing
    listen = "" if is_loopback(address) else f" --listen {NODES_LISTEN}"
    return f"strew node --join {reachable(address)}{listen}"


def _secret(key: FleetKey) -> str:
    return f"STREW_FLEET_KEY={key.text}"


def reachable(address: Address) -> Address:
    """The address to tell others: of the card that leads outside, where all are listened on."""
    return Address(own_host(address, ()), address.port)
