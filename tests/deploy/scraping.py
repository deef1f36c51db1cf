"""A real Prometheus for tests: it scrapes real processes, with the rules that come with strew, on a
clock that runs faster than theirs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.cli.processes import PATIENCE_S, until

DEPLOY = Path(__file__).parents[2] / "deploy"

SPEED = 60
"""A minute of the rules is a second of the test."""

EVERY_MS = 250
"""Between two scrapes, and two looks at the rules: fifteen seconds of theirs."""

_MINUTES = re.compile(r"\b(\d+)m\b")
_LISTENING = re.compile(r'msg="Listening on" address=([\d.:]+)')


def hurried(rules: str) -> str:
    """The same rules with shorter times."""
    return _MINUTES.sub(lambda found: f"{int(found[1]) * 60_000 // SPEED}ms", rules)


class Prometheus:
    """One that finds its targets by asking the tracker at `at`. A context; `states` are those that
    each alert went through on each instance, in order."""

    def __init__(self, folder: Path, at: str, token: str) -> None:
        if shutil.which("prometheus") is None:
            pytest.skip("prometheus is not installed (make test-tools)")
        self._folder = folder
        folder.mkdir()
        (folder / "token").write_text(token)
        (folder / "alerts.yml").write_text(hurried((DEPLOY / "prometheus/alerts.yml").read_text()))
        config = (DEPLOY / "prometheus/prometheus.yml").read_text()
        config = config.replace("/etc/prometheus/strew.token", str(folder / "token"))
        config = config.replace("10.0.0.1:7300", at)
        config = re.sub(r"(_interval: )\w+", rf"\g<1>{EVERY_MS}ms", config)
        (folder / "prometheus.yml").write_text(config)
        self.states: dict[tuple[str, str], list[str]] = {}
        self.log = ""
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [
                *("prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
                *("--web.listen-address=127.0.0.1:0", "--log.level=info"),
            ],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._begin(self._read)
        try:
            found = until(lambda: _LISTENING.search(self.log), "prometheus to listen")
            self._root = f"http://{found[1]}"
            until(self._ready, "prometheus to be ready")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self._begin(self._watch)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _begin(self, what: Any) -> None:
        self._threads.append(threading.Thread(target=what, daemon=True))
        self._threads[-1].start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log += line

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._root}/-/ready", timeout=5.0):
                return True
        except OSError:
            return False

    def _watch(self) -> None:
        """Note every state of every alert, several times in each interval."""
        while not self._ended.wait(EVERY_MS / 1000 / 4):
            try:
                alerts = self._get("alerts")["alerts"]
            except OSError:
                continue
            for alert in alerts:
                labels = alert["labels"]
                of = (labels["alertname"], labels.get("instance", ""))
                states = self.states.setdefault(of, [])
                if states[-1:] != [alert["state"]]:
                    states.append(alert["state"])

    def _get(self, path: str, **query: str) -> Any:
        url = f"{self._root}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=5.0) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression gives now: its samples, with labels."""
        return list(self._get("query", query=expression)["result"])
