"""Datagrams without end, of every length and with every first byte: run as a process of its own.

python -m tests.faults.flood HOST:PORT ...
"""

from __future__ import annotations

import random
import socket
import sys

from strew.transfer.datagram import Label
from strew.transfer.sealing import DATAGRAM_BYTES_MAX

SOCKETS = 64
"""As many source ports: a flood comes from anywhere."""

LENGTHS = (0, 1, 30, 64, 64, 64, 200, DATAGRAM_BYTES_MAX, 60_000)

FIRST_BYTES = (*Label, 0, 255)


def main(addresses: list[str]) -> None:
    dice = random.Random(1)
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(SOCKETS)]
    targets = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        targets.append((host, int(port)))
    datagrams = [
        (bytes([dice.choice(FIRST_BYTES)]) + dice.randbytes(length))[:length]
        for length in LENGTHS
        for _ in range(100)
    ]
    while True:
        for target in targets:
            dice.choice(sockets).sendto(dice.choice(datagrams), target)


if __name__ == "__main__":
    main(sys.argv[1:])
