from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from emulator.backends.records.sqlite import SqliteRecords
from emulator.world.lifetimes import LifetimeRefused, Lifetimes

Play = Callable[[Lifetimes], Coroutine[Any, Any, None]]


class Given(BaseModel):
    url_seconds: int = Field(default=7200, ge=1)
    timeout_s: float | None = Field(default=None, gt=0)
    sides: int = 4


SETTINGS = Given(url_seconds=100)


def play(path: Path, *lives: Play) -> None:
    async def run() -> None:
        records = SqliteRecords(path / "records.sqlite3")
        await records.open()
        try:
            for life in lives:
                names = {"acme": ("url_seconds", "timeout_s"), "other": ()}
                lifetimes = Lifetimes(records, {"acme": SETTINGS, "other": SETTINGS}, names)
                await lifetimes.load()
                await life(lifetimes)
        finally:
            await records.close()

    asyncio.run(run())


def test_lifetimes_of_a_credential_override_the_default_which_overrides_the_settings(tmp_path: Path) -> None:
    async def life(lifetimes: Lifetimes) -> None:
        assert lifetimes.of("acme", "me", SETTINGS) is SETTINGS
        await lifetimes.put("", {"acme": {"url_seconds": 50, "timeout_s": 9}})
        await lifetimes.put("me", {"acme": {"url_seconds": 5}})
        await lifetimes.put("me", {"acme": {"timeout_s": None}})

    async def next_life(lifetimes: Lifetimes) -> None:
        assert lifetimes.of("acme", "me", SETTINGS) == Given(url_seconds=5)
        assert lifetimes.of("acme", "you", SETTINGS) == Given(url_seconds=50, timeout_s=9)
        # Integers stay integers, because they appear in URLs.
        assert type(lifetimes.of("acme", "me", SETTINGS).url_seconds) is int
        assert lifetimes.read("me") == {"acme": {"url_seconds": 5, "timeout_s": None}}
        await lifetimes.forget("me")
        assert lifetimes.of("acme", "me", SETTINGS) == Given(url_seconds=50, timeout_s=9)

    play(tmp_path, life, next_life)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"nobody": {}}, "nobody: not a vendor with lifetimes; vendors with lifetimes: acme"),
        ({"other": {"sides": 3}}, "other: not a vendor with lifetimes; vendors with lifetimes: acme"),
        ({"acme": {"sides": 3}}, "acme: there is no lifetime sides; there are url_seconds, timeout_s"),
        (
            {"acme": {"url_seconds": 0}},
            "acme: url_seconds: Input should be greater than or equal to 1",
        ),
    ],
)
def test_an_invalid_lifetime_is_refused_and_nothing_is_set(
    tmp_path: Path, wanted: dict[str, dict[str, Any]], reason: str
) -> None:
    async def life(lifetimes: Lifetimes) -> None:
        with pytest.raises(LifetimeRefused) as refused:
            await lifetimes.put("me", {"acme": {"timeout_s": 4}} | wanted)
        assert str(refused.value) == reason
        assert lifetimes.of("acme", "me", SETTINGS) is SETTINGS

    play(tmp_path, life)
