"""Commands on a terminal of so many columns and lines, and what is to be seen on it then."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping
from pathlib import Path

from tests.cli.processes import PATIENCE_S

_TOKENS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+")


class OnTerminal:
    """A command whose output is a terminal. `stop` must be called."""

    def __init__(
        self, *words: str, env: Mapping[str, str], cwd: Path, columns: int = 80, lines: int = 24
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "strew", *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**env, "TERM": "xterm-256color", "LANG": "C.UTF-8"},
            cwd=cwd,
            start_new_session=True,
        )
        os.close(slave)
        self._written = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._master, 65536)
            except OSError:  # the last end of the other side was closed
                return
            if not piece:
                return
            self._written += piece

    @property
    def written(self) -> str:
        """All that was written so far, codes and all."""
        return bytes(self._written).decode("utf-8", "replace")

    @property
    def screen(self) -> list[str]:
        """Its lines, as a terminal that is high enough shows them."""
        lines, at, column = [""], 0, 0
        for token in _TOKENS.findall(self.written):
            if token == "\r":
                column = 0
            elif token == "\n":
                at += 1
                if at == len(lines):
                    lines.append("")
            elif not token.startswith("\x1b"):
                line = lines[at].ljust(column)
                lines[at] = line[:column] + token + line[column + len(token) :]
                column += len(token)
            elif token.endswith("F"):
                at, column = max(0, at - int(token[2:-1])), 0
            elif token.endswith("K"):
                lines[at] = lines[at][:column]
            elif token.endswith("J"):
                del lines[at + 1 :]
                lines[at] = lines[at][:column]
        return lines

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._master, text.encode())

    def stop(self, number: int = signal.SIGINT) -> int:
        """End it; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._thread.join(PATIENCE_S)
            os.close(self._master)
        return code
