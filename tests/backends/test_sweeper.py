from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from emulator.backends.records import Records
from emulator.backends.sweeper import Sweeper
from emulator.backends.unavailable import StoreUnavailable


def records(*, is_shared: bool) -> Records:
    return cast("Records", SimpleNamespace(is_shared=is_shared))


def test_sweeps_go_on_after_failures_and_only_unexpected_ones_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")

    async def run() -> None:
        failures, done = [StoreUnavailable("it is down"), ZeroDivisionError()], asyncio.Event()

        async def sweep() -> None:
            if failures:
                raise failures.pop(0)
            done.set()

        sweeper = Sweeper(records(is_shared=True), sweep, 0.001, "nothing was swept")
        sweeper.start()
        sweeper.start()
        assert len(asyncio.all_tasks()) == 2
        async with asyncio.timeout(10):
            await done.wait()
        await sweeper.close()
        await sweeper.close()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())
    (logged,) = caplog.records
    assert (logged.levelname, logged.getMessage()) == ("ERROR", "nothing was swept")
    assert logged.exc_info is not None
    assert logged.exc_info[0] is ZeroDivisionError


def test_without_other_replicas_nothing_is_swept() -> None:
    async def sweep() -> None:
        raise AssertionError

    async def run() -> None:
        sweeper = Sweeper(records(is_shared=False), sweep, 0.0, "")
        sweeper.start()
        assert len(asyncio.all_tasks()) == 1
        await sweeper.close()

    asyncio.run(run())
