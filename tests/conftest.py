"""Settings of the whole test run: where nothing may be skipped, seeded properties, and what was
measured of a promise."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.promises import PROPERTY, Measured

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}

# Seeded, so that a failure seen once is seen again; no deadline, because the machines that run
# these tests are shared. `HYPOTHESIS_PROFILE=search` looks for new examples instead.
settings.register_profile(
    "seeded",
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "seeded"))

# A shell that starts this run in the background has it ignore Ctrl-C, and every process that the
# tests start and interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Measured:
    """Note a figure beside its promise; all are listed when the run ends."""

    def note(what: str, promise: str, figure: str) -> None:
        record_property(PROPERTY, (what, promise, figure))

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the figures, each beside what is promised."""
    rows = [
        value
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        for name, value in getattr(report, "user_properties", [])
        if name == PROPERTY
    ]
    if rows:
        terminalreporter.section("what was measured of what is promised")
        for what, promise, figure in rows:
            terminalreporter.write_line(f"{what}: {figure} (promised: {promise})")


def _reason(longrepr: object) -> str:
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where CI is set, a skipped test is a failed test: nothing may be missing there."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"nothing may skip in CI: {_reason(report.longrepr)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for modules that skip themselves while they are collected."""
    report = yield
    if IN_CI and report.outcome == "skipped":
        report.outcome = "failed"
        report.longrepr = f"nothing may skip in CI: {_reason(report.longrepr)}"
    return report
