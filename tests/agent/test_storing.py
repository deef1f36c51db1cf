"""Work for the disk: inline while it is quick, in a thread while it is not, in order always."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from strew.agent import storing
from strew.agent.storing import SLOW_S, StoreThread

SWITCHES = storing._switches


@pytest.fixture
async def thread() -> AsyncIterator[StoreThread]:
    one = StoreThread(asyncio.get_running_loop())
    yield one
    await asyncio.to_thread(one.stop)


@pytest.fixture(autouse=True)
def uninterrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with time for this process: elsewhere what is slow here may not count as
    slow, since it was interrupted meanwhile."""
    waits = itertools.count()
    monkeypatch.setattr(storing, "_switches", lambda: (next(waits), 0))
    monkeypatch.setattr(storing, "SLOW_TWICE_S", 60.0)


async def until(true: Any) -> None:
    async with asyncio.timeout(5.0):
        while not true():
            await asyncio.sleep(0.001)


def slow() -> str:
    time.sleep(SLOW_S * 1.5)
    return "slow"


def test_who_sleeps_gives_up_the_processor_of_its_own_accord() -> None:
    before = SWITCHES()
    time.sleep(0.001)
    assert SWITCHES()[0] > before[0]


async def test_work_that_was_interrupted_counts_as_quick(
    thread: StoreThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = itertools.count()
    monkeypatch.setattr(storing, "_switches", lambda: (next(both),) * 2)
    for _ in range(2):
        thread.submit(slow, lambda *out: None)
    done: list[str] = []
    thread.submit(lambda: None, lambda *out: done.append("inline"))
    assert done == ["inline"]


async def test_quick_work_is_done_before_submit_returns(thread: StoreThread) -> None:
    done: list[Any] = []
    where: list[str] = []
    thread.submit(
        lambda: where.append(threading.current_thread().name), lambda *out: done.append(out)
    )
    assert done == [(None, None)]
    assert where == [threading.current_thread().name]


async def test_what_goes_wrong_comes_back_as_a_value(thread: StoreThread) -> None:
    done: list[Any] = []
    thread.submit(lambda: 1 // 0, lambda result, error: done.append((result, error)))
    [(result, error)] = done
    assert result is None and isinstance(error, ZeroDivisionError)


async def test_after_slow_work_everything_goes_to_the_thread(thread: StoreThread) -> None:
    done: list[Any] = []
    where: list[str] = []
    for _ in range(2):
        thread.submit(slow, lambda result, error: done.append(result))
    assert done == ["slow", "slow"], "they were inline: one may be an accident"
    thread.submit(
        lambda: where.append(threading.current_thread().name), lambda *out: done.append("quick")
    )
    assert done == ["slow", "slow"]
    await until(lambda: len(done) == 3)
    assert where == ["strew-store"]


async def test_after_a_while_quick_work_is_inline_again(
    thread: StoreThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "THREADED_S", 0.05)
    done: list[int] = []
    for _ in range(2):
        thread.submit(slow, lambda result, error: done.append(0))
    await asyncio.sleep(0.06)
    thread.submit(lambda: None, lambda result, error: done.append(1))
    assert done == [0, 0, 1]


async def test_order_is_kept_across_the_change(thread: StoreThread) -> None:
    order: list[int] = []
    ends: list[int] = []
    for index in range(200):
        thread.submit(
            lambda i=index: (order.append(i), slow() if i in (0, 1, 50) else None),
            lambda result, error, i=index: ends.append(i),
        )
    await until(lambda: len(ends) == 200)
    assert order == ends == list(range(200))


async def test_outcomes_are_told_on_the_loop(thread: StoreThread) -> None:
    told: list[str] = []
    thread.submit(slow, lambda *out: None)
    thread.submit(slow, lambda *out: None)
    for _ in range(10):
        thread.submit(lambda: None, lambda *out: told.append(threading.current_thread().name))
    await until(lambda: len(told) == 10)
    assert set(told) == {threading.current_thread().name}


async def test_work_submitted_by_an_outcome_is_not_lost(thread: StoreThread) -> None:
    done: list[int] = []

    def again(depth: int) -> None:
        if depth:
            thread.submit(lambda: None, lambda *out: (done.append(depth), again(depth - 1)))

    thread.submit(slow, lambda *out: None)
    thread.submit(slow, lambda *out: None)
    again(20)
    await until(lambda: len(done) == 20)


async def test_an_outcome_that_raises_does_not_hold_back_the_others(thread: StoreThread) -> None:
    loop = asyncio.get_running_loop()
    seen: list[Any] = []
    loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))
    done: list[int] = []

    def fails(*out: Any) -> None:
        raise RuntimeError("no such transfer")

    gate = threading.Event()
    thread.submit(slow, lambda *out: None)
    thread.submit(slow, lambda *out: None)
    thread.submit(gate.wait, lambda *out: None)
    thread.submit(lambda: None, fails)
    for index in range(5):
        thread.submit(lambda: None, lambda *out, i=index: done.append(i))
    gate.set()
    time.sleep(0.02)  # noqa: ASYNC251 (so that all outcomes come in one wake-up)
    await until(lambda: done == [0, 1, 2, 3, 4])
    assert [str(error) for error in seen] == ["no such transfer"]


async def test_stop_finishes_what_is_queued() -> None:
    thread = StoreThread(asyncio.get_running_loop())
    done: list[int] = []
    thread.submit(slow, lambda *out: None)
    thread.submit(slow, lambda *out: None)
    for index in range(50):
        thread.submit(lambda: None, lambda *out, i=index: done.append(i))
    await asyncio.to_thread(thread.stop)
    await until(lambda: len(done) == 50)
    assert not thread._thread.is_alive()
