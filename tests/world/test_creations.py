from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from emulator.world.creations import Creations

Play = Callable[[Creations, list[str]], Coroutine[Any, Any, None]]


def play(scenario: Play) -> list[str]:
    """Run a scenario and return its events, in order."""
    happened: list[str] = []
    asyncio.run(scenario(Creations(), happened))
    return happened


async def settle() -> None:
    """Let all asyncio tasks run until they wait."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("forgotten", ["me", None], ids=["own", "all"])
def test_forgetting_waits_for_running_creations_and_blocks_new_ones(forgotten: str | None) -> None:
    async def scenario(creations: Creations, happened: list[str]) -> None:
        drawn, forgetting = asyncio.Event(), asyncio.Event()

        async def create(name: str, until: asyncio.Event | None = None) -> None:
            async with creations.of("me"):
                happened.append(f"{name} begins")
                if until is not None:
                    await until.wait()
                happened.append(f"{name} is created")

        async def forget() -> None:
            async with creations.stopped(forgotten):
                happened.append("forgetting")
                await forgetting.wait()
                happened.append("forgotten")

        work = [asyncio.create_task(create("first", drawn))]
        await settle()
        work.append(asyncio.create_task(forget()))
        await settle()
        work.append(asyncio.create_task(create("second")))
        await settle()
        assert happened == ["first begins"]
        drawn.set()
        await settle()
        assert happened == ["first begins", "first is created", "forgetting"]
        forgetting.set()
        await asyncio.gather(*work)

    assert play(scenario)[3:] == ["forgotten", "second begins", "second is created"]


def test_creations_of_other_credentials_continue() -> None:
    async def scenario(creations: Creations, happened: list[str]) -> None:
        async with creations.of("other"), creations.stopped("me"), creations.of("another"):
            happened.append("all at once")

    assert play(scenario) == ["all at once"]


def test_failed_and_cancelled_creations_block_nothing() -> None:
    async def scenario(creations: Creations, happened: list[str]) -> None:
        async def create(error: type[BaseException] | None) -> None:
            async with creations.of("me"):
                if error is not None:
                    raise error
                await asyncio.Event().wait()

        with pytest.raises(LookupError):
            await create(LookupError)
        given_up = asyncio.create_task(create(None))
        await settle()
        waiting = asyncio.create_task(asyncio.wait_for(_forget(creations, happened), 5))
        await settle()
        given_up.cancel()
        await waiting

    assert play(scenario) == ["forgotten"]


async def _forget(creations: Creations, happened: list[str]) -> None:
    async with creations.stopped("me"):
        happened.append("forgotten")
