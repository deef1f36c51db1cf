"""Unix time that does not jump."""

import time


class SteadyClock:
    """Seconds since 1970 as the system's clock showed them at the start, moved on by the monotonic
    clock: leases survive whoever sets the system's clock."""

    def __init__(self) -> None:
        self._origin_s = time.time() - time.monotonic()

    def __call__(self) -> float:
        return self._origin_s + time.monotonic()
