"""What tests of promises tell beside passing: the figure that was measured."""

from collections.abc import Callable

Measured = Callable[[str, str, str], None]
"""Told: what is promised of what, the promise, and the figure that was measured. It is the fixture
`measured`; a run lists all of them when it ends."""

PROPERTY = "measured"
"""Under which a test's report carries them."""
