"""Reading and hashing on a thread, with progress, and without keeping Ctrl-C waiting."""

from collections.abc import Callable
from typing import TypeVar

from strew.agent.stoppable import Step, stoppable
from strew.cli.progress import Progress, Transfer
from strew.store.store import ProgressCallback

_T = TypeVar("_T")


async def hashing(
    work: Callable[[ProgressCallback], _T], progress: Progress, key: str, note: str
) -> _T:
    """What `work` gives. It must call back as it goes; if this is cancelled it ends there."""

    def with_progress(step: Step) -> _T:
        def on_progress(done_bytes: int, total_bytes: int) -> None:
            step()
            progress.update(key, Transfer(done_bytes, total_bytes, note=note))

        return work(on_progress)

    return await stoppable(with_progress)
