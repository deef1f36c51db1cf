"""Which Host is ours."""

import pytest

from strew.tracker.gate import host_rule


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        ("127.0.0.1:7300", True),
        ("10.0.0.1", True),
        ("[::1]:7300", True),
        ("localhost:7300", True),
        ("LOCALHOST", True),
        ("tracker.example:7300", True),
        ("evil.example", False),
        ("tracker.example.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
    ],
)
def test_ip_literals_localhost_and_named_hosts_are_ours(host: str, admitted: bool) -> None:
    assert host_rule("Tracker.example")(host) is admitted
