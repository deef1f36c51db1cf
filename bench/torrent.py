"""libtorrent as a pair of processes, for the comparison in bench/rivals.py.

python -m bench.torrent make FILE TORRENT
python -m bench.torrent seed FILE TORRENT
python -m bench.torrent fetch FOLDER TORRENT PORT
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import libtorrent  # type: ignore[import-not-found, unused-ignore]

PIECE_BYTES = 256 << 10
POLL_S = 0.02


def say(kind: str, **facts: object) -> None:
    """One JSON line."""
    print(json.dumps({"type": kind, **facts}), flush=True)


def make(file: str, torrent: str) -> None:
    """Hash the file."""
    storage = libtorrent.file_storage()
    libtorrent.add_files(storage, file)
    # by default it would be hybrid, and everything hashed twice
    made = libtorrent.create_torrent(storage, PIECE_BYTES, flags=libtorrent.create_torrent.v1_only)
    libtorrent.set_piece_hashes(made, str(Path(file).parent))
    Path(torrent).write_bytes(libtorrent.bencode(made.generate()))
    say("result")


def _session(folder: str, torrent: str, *, seeds: bool) -> tuple[Any, Any]:
    session = libtorrent.session(
        {
            "listen_interfaces": "127.0.0.1:0",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            # TCP: over loopback its own uTP is many times slower; queues as for a fast link
            "enable_outgoing_utp": False,
            "enable_incoming_utp": False,
            "max_out_request_queue": 2000,
            "max_allowed_in_request_queue": 4000,
            "send_buffer_watermark": 8 << 20,
            "allow_multiple_connections_per_ip": True,
            "in_enc_policy": int(libtorrent.enc_policy.disabled),
            "out_enc_policy": int(libtorrent.enc_policy.disabled),
        }
    )
    parameters = libtorrent.add_torrent_params()
    parameters.ti = libtorrent.torrent_info(torrent)
    parameters.save_path = folder
    if seeds:
        parameters.flags |= libtorrent.torrent_flags.seed_mode
    return session, session.add_torrent(parameters)


def seed(file: str, torrent: str) -> None:
    """Serve until ended."""
    session, handle = _session(str(Path(file).parent), torrent, seeds=True)
    while not handle.status().is_seeding:
        time.sleep(POLL_S)
    say("listening", port=session.listen_port())
    while True:
        time.sleep(1)


def fetch(folder: str, torrent: str, port: str) -> None:
    """Fetch from 127.0.0.1:port; says when all is verified."""
    _, handle = _session(folder, torrent, seeds=False)
    started_s = time.perf_counter()
    handle.connect_peer(("127.0.0.1", int(port)))
    while not handle.status().is_seeding:
        time.sleep(POLL_S)
    say("result", seconds=time.perf_counter() - started_s)
    while True:
        time.sleep(1)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(*sys.argv[2:])
    elif sys.argv[1] == "seed":
        seed(*sys.argv[2:])
    else:
        fetch(*sys.argv[2:])
