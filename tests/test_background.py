from __future__ import annotations

import asyncio
import gc
import logging
import weakref

import pytest

from emulator.background import Background


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


def test_cancelling_the_work_of_one_credential_keeps_other_work_running() -> None:
    async def run() -> None:
        background = Background("it failed")
        mine = [background.start("me", wait_for_ever()) for _ in range(2)]
        yours = background.start("you", wait_for_ever())
        everybodys = background.start("", wait_for_ever())
        await asyncio.sleep(0)
        await background.cancel("me")
        assert all(work.cancelled() for work in mine)
        assert not yours.done()
        await background.cancel("")
        assert everybodys.cancelled()
        assert not yours.done()
        await background.cancel()
        assert yours.cancelled()
        await background.cancel()

    asyncio.run(run())


def test_cancelling_returns_when_the_work_has_ended() -> None:
    async def run() -> None:
        background = Background("it failed")
        begun, may_end = asyncio.Event(), asyncio.Event()
        ended: list[str] = []

        async def tidy_up() -> None:
            begun.set()
            try:
                await wait_for_ever()
            finally:
                await may_end.wait()
                ended.append("tidied up")

        background.start("me", tidy_up())
        await begun.wait()
        cancelling = asyncio.create_task(background.cancel("me"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not cancelling.done()
        may_end.set()
        await cancelling
        assert ended == ["tidied up"]

    asyncio.run(run())


def test_work_may_start_while_other_work_is_cancelled() -> None:
    async def run() -> None:
        background = Background("it failed")
        started: list[asyncio.Task[None]] = []

        async def start_another() -> None:
            try:
                await wait_for_ever()
            finally:
                started.append(background.start("me", wait_for_ever()))

        background.start("me", start_another())
        await asyncio.sleep(0)
        await background.cancel("me")
        assert not started[0].done()
        await background.cancel("me")
        assert started[0].cancelled()

    asyncio.run(run())


def test_a_failure_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def divide() -> None:
        raise ZeroDivisionError

    async def run() -> None:
        background = Background("the division failed")
        failing = background.start("me", divide())
        cancelled = background.start("me", wait_for_ever())
        await asyncio.wait({failing})
        await background.cancel()
        assert cancelled.cancelled()

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("emulator.background", "the division failed")
    assert "Traceback" in caplog.text
    assert "in divide" in caplog.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("end", ["ended", "failed", "cancelled"])
def test_finished_work_is_garbage_collected(end: str) -> None:
    async def work() -> None:
        if end == "failed":
            raise ZeroDivisionError
        if end == "cancelled":
            await wait_for_ever()

    async def run() -> None:
        background = Background("it failed")
        task = background.start("me", work())
        seen = weakref.ref(task)
        await asyncio.sleep(0)
        if end == "cancelled":
            task.cancel()
        await asyncio.wait({task})
        del task
        await asyncio.sleep(0)
        gc.collect()
        assert seen() is None

    asyncio.run(run())


def test_running_work_is_not_garbage_collected() -> None:
    async def run() -> None:
        background = Background("it failed")
        seen = weakref.ref(background.start("me", wait_for_ever()))
        await asyncio.sleep(0)
        gc.collect()
        assert seen() is not None
        await background.cancel()

    asyncio.run(run())


def test_work_in_the_current_task_is_cancelled_without_the_task() -> None:
    async def run() -> None:
        background = Background("it failed")
        events: list[str] = []

        async def perform() -> None:
            try:
                await background.run("me", wait_for_ever())
            except asyncio.CancelledError:
                events.append("cancelled")
                raise
            events.append("continued")
            await asyncio.sleep(0)
            events.append("ended")

        by_credential, by_both, by_caller = [asyncio.create_task(perform()) for _ in range(3)]
        await asyncio.sleep(0)
        by_caller.cancel()
        await asyncio.wait({by_caller})
        by_both.cancel()
        await asyncio.gather(background.cancel("me"), background.cancel())
        await background.cancel("me")
        await asyncio.wait({by_credential, by_both})
        assert (by_caller.cancelled(), by_both.cancelled(), by_credential.cancelled()) == (True, True, False)
        assert sorted(events) == ["cancelled", "cancelled", "continued", "ended"]

    asyncio.run(run())


def test_a_failure_in_the_current_task_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def divide() -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        asyncio.run(Background("the division failed").run("me", divide()))
    assert caplog.messages == ["the division failed"]
    assert "ZeroDivisionError" in caplog.text
