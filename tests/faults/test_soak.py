"""The soak, for a minute and a half; `python -m tests.faults.soak` runs it for as long as told."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.faults.soak import Soak

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(400)]

NODES = 8
SECONDS = 90.0


def test_a_soak_leaves_nothing_behind(tmp_path: Path) -> None:
    Soak(tmp_path, NODES, secrets.randbits(32)).run(SECONDS)
