"""The least that moving a file in Python costs: two processes, no framework, no protocol.

    python -m bench.bare send FILE
    python -m bench.bare receive PORT SIZE TARGET SLICE

One sends with sendfile; the other receives into one buffer, hashes each slice with BLAKE3, writes
it to its place in a preallocated file, and in the end makes it durable and renames it.
"""

import json
import os
import socket
import sys
import time

from blake3 import blake3

SEND_BYTES = 256 << 10


def say(**facts: object) -> None:
    """One JSON line."""
    print(json.dumps({"type": "result", **facts}), flush=True)


def send(path: str) -> None:
    """Send the whole file to the first that connects."""
    with socket.create_server(("127.0.0.1", 0)) as server, open(path, "rb") as file:
        print(json.dumps({"type": "listening", "port": server.getsockname()[1]}), flush=True)
        connection, _ = server.accept()
        started_cpu_s = time.process_time()
        offset = 0
        with connection:
            while sent := os.sendfile(connection.fileno(), file.fileno(), offset, SEND_BYTES):
                offset += sent
        say(cpu_s=time.process_time() - started_cpu_s)


def receive(port: str, size: str, target: str, slice_size: str) -> None:
    """Receive `size` bytes."""
    size_bytes, slice_bytes = int(size), int(slice_size)
    buffer = memoryview(bytearray(slice_bytes))
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    part = os.open(target + ".part", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.posix_fallocate(part, 0, size_bytes)
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        for offset in range(0, size_bytes, slice_bytes):
            chunk = buffer[: min(slice_bytes, size_bytes - offset)]
            filled = 0
            while filled < len(chunk):
                filled += connection.recv_into(chunk[filled:])
            blake3(chunk).digest()
            os.pwrite(part, chunk, offset)
    written_s, written_cpu_s = time.perf_counter(), time.process_time()
    os.fsync(part)
    os.close(part)
    os.rename(target + ".part", target)
    say(
        written_s=written_s - started_s,
        placed_s=time.perf_counter() - started_s,
        written_cpu_s=written_cpu_s - started_cpu_s,
        placed_cpu_s=time.process_time() - started_cpu_s,
    )


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(*sys.argv[2:])
    else:
        receive(*sys.argv[2:])
