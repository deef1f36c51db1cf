"""libtorrent as a process: python torrent_peer.py TASK, where TASK is JSON.

It opens its port, and calls its peers as soon as its gate opens (strew.lab.rivals.gate). It says
`done` when its file is complete, and goes on seeding until ended. Nothing of strew is imported,
so that what it takes is libtorrent's.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

LOOK_EVERY_MS = 500
"""Between looks at a peer of which no alert was heard."""

SLEEP_S = 3600


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What one peer shall do. `folder` holds the file, or will; `gate` is the path of its gate,
    empty for one that begins at once; `peers` are called: host and port."""

    torrent: str
    folder: str
    host: str
    port: int
    gate: str = ""
    seeds: bool = False
    peers: list[tuple[str, int]] = []
    settings: dict[str, bool | int] = {}


class Done(msgspec.Struct, frozen=True, tag_field="type", tag="done"):
    """The peer began and had the whole file at these times (time.monotonic), and got so many bytes
    in vain."""

    begun_s: float
    done_s: float
    redundant_bytes: int


def run(task: Task) -> None:
    """Take part until ended."""
    libtorrent: Any = import_module("libtorrent")
    fixed = {
        "listen_interfaces": f"{task.host}:{task.port}",
        # nobody but the peers of the list is looked for, and nothing but plain TCP is spoken
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "dht_bootstrap_nodes": "",
        "enable_outgoing_utp": False,
        "enable_incoming_utp": False,
        "in_enc_policy": int(libtorrent.enc_policy.disabled),
        "out_enc_policy": int(libtorrent.enc_policy.disabled),
        "alert_mask": int(libtorrent.alert.category_t.status_notification),
    }
    session = libtorrent.session({**fixed, **task.settings})
    parameters = libtorrent.add_torrent_params()
    parameters.ti = libtorrent.torrent_info(task.torrent)
    parameters.save_path = task.folder
    # neither queued nor paused
    parameters.flags = libtorrent.torrent_flags.update_subscribe
    if task.seeds:
        parameters.flags |= libtorrent.torrent_flags.seed_mode
    # known before the gate opens: a peer that is called earlier than it calls must not hang up
    handle = session.add_torrent(parameters)
    if task.gate:
        Path(task.gate).read_bytes()
    begun_s = time.monotonic()
    for peer in task.peers:
        handle.connect_peer(peer)
    # alerts are waited for, as looking often would take from the cores that all peers share
    while not handle.status().is_seeding:
        session.wait_for_alert(LOOK_EVERY_MS)
        session.pop_alerts()
    done = Done(begun_s, time.monotonic(), handle.status().total_redundant_bytes)
    sys.stdout.buffer.write(msgspec.json.encode(done) + b"\n")
    sys.stdout.flush()
    while True:
        time.sleep(SLEEP_S)


if __name__ == "__main__":
    run(msgspec.json.decode(sys.argv[1], type=Task))
