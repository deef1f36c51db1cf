"""The units that come with strew fit the program they start."""

from pathlib import Path

import pytest

from strew.agent.settings import KEYS

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
VARIABLES = {knob.variable for knob in KEYS.values()} | {"STREW_CONFIG"}
HARDENED = {
    "DynamicUser=yes",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "SystemCallFilter=@system-service",
}


def lines(role: str) -> list[str]:
    return (UNITS / f"strew-{role}.service").read_text().splitlines()


@pytest.mark.parametrize("role", ["serve", "node"])
def test_a_unit_sets_only_variables_that_the_program_knows(role: str) -> None:
    settings = [line.split("=")[1] for line in lines(role) if line.startswith("Environment=")]
    assert settings
    assert set(settings) <= VARIABLES


@pytest.mark.parametrize("role", ["serve", "node"])
def test_a_unit_waits_for_the_service_to_be_ready_and_hardens_it(role: str) -> None:
    assert set(lines(role)) >= HARDENED | {"Type=notify", f"StateDirectory=strew-{role}"}


@pytest.mark.parametrize("role", ["serve", "node"])
def test_what_is_printed_with_the_key_in_it_does_not_reach_the_journal(role: str) -> None:
    assert "StandardOutput=null" in lines(role)
