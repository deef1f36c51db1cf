"""A process that answers HTTP with what no tracker answers, from a thread of the tests."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from strew.content.reference import Address

ROOM_S = 20.0
"""Nobody is answered for longer; a client that hangs fails its own test before."""

Answer = bytes | Callable[[socket.socket], None]
"""The whole answer, head and all, or what writes it."""

PIECE = b"\x00" * (64 << 10)


class Liar:
    """Answers each request by the longest prefix of its path; made by `lying`.

    `asked` are the requests' first lines.
    """

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = Address("127.0.0.1", self._server.getsockname()[1])
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def was_asked(self, word: str) -> bool:
        return any(word in line for line in self.asked)

    def close(self) -> None:
        """End the server and every connection."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed: the test is over
            while True:
                connection, _ = self._server.accept()
                self._open.append(connection)
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:  # whom it lies to may end it at any time
            connection.settimeout(ROOM_S)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(65536)
                if not piece:
                    return
                head += piece
            line = head.partition(b"\r\n")[0].decode("latin-1")
            self.asked.append(line)
            path = line.split(" ")[1] if " " in line else ""
            fitting = [prefix for prefix in self.answers if path.startswith(prefix)]
            answer = self.answers[max(fitting, key=len)] if fitting else answered(404)
            if callable(answer):
                answer(connection)
            else:
                connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):  # what the other side still sends must not reset it
                pass


def answered(
    status: int, body: bytes = b"", kind: str = "application/json", head: str = ""
) -> bytes:
    """A whole answer, as a server would give it."""
    lines = f"HTTP/1.1 {status} Told\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return (lines + head + "Connection: close\r\n\r\n").encode() + body


def endless(kind: str, *, length_bytes: int | None) -> Callable[[socket.socket], None]:
    """An answer of so many zeros, or of chunks of them without end."""

    def write(connection: socket.socket) -> None:
        length = f"Content-Length: {length_bytes}"
        if length_bytes is None:
            length = "Transfer-Encoding: chunked"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{length}\r\n\r\n"
        connection.sendall(head.encode())
        left = length_bytes
        while left is None or left > 0:
            if left is None:
                connection.sendall(b"%x\r\n%s\r\n" % (len(PIECE), PIECE))
            else:
                connection.sendall(PIECE[:left])
                left -= min(left, len(PIECE))

    return write


@contextlib.contextmanager
def lying(answers: dict[str, Answer]) -> Iterator[Liar]:
    liar = Liar(answers)
    try:
        yield liar
    finally:
        liar.close()
