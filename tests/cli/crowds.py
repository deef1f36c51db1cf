"""A real `strew serve` whose machines are played by bench.crowd."""

import re
import subprocess
import sys
from pathlib import Path

from strew.content.reference import Address
from strew.fleet import FleetKey
from tests.cli.processes import Running, environment, until

REFERENCE = "crowd:v1"
NODES = 12


class Crowd:
    """Twelve machines in two racks, for some seconds; they stay afterwards. The disks of `paused`
    are full half way. `stop` must be called."""

    def __init__(self, folder: Path, *, seconds: float = 5.0, paused: int = 0) -> None:
        home = folder / "home"
        home.mkdir()
        self.folder = folder
        self.env = environment(home)
        self.serve = Running("serve", "--listen", "127.0.0.1:0", env=self.env, cwd=folder)
        listening = self.serve.event("listening")
        secret = re.search(r"[0-9a-f]{64}", listening["join"])
        assert secret is not None
        self.key = FleetKey.parse(secret[0])
        self.address = Address("127.0.0.1", listening["port"])
        self.env |= {"STREW_AT": str(self.address), "STREW_FLEET_KEY": self.key.text}
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "bench.crowd", "--at", str(self.address)),
                *("--nodes", str(NODES), "--chunks", "60", "--size", "60MB", "--rate", "100Mbit"),
                *(
                    "--racks",
                    "2",
                    "--paused",
                    str(paused),
                    "--seconds",
                    str(seconds),
                    "--stay",
                    "600",
                ),
                *("--spread", str(folder / "spread")),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self.env,
            cwd=Path(__file__).parents[2],
        )
        assert self.process.stdout is not None
        said = until(self.process.stdout.readline, "the crowd to publish")
        assert said.startswith("published blake3:"), said
        self.artifact = said.split()[1]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.serve.stop()
