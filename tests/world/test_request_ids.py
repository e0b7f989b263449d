"""Ids of requests."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import Any

from emulator.ids import SeededIds
from emulator.world.request_ids import BLOCK, RequestIds

DEAF: Any = SimpleNamespace(listen=lambda _kind, _heard: None)
"""Records that nobody else changes."""


def seeded() -> SeededIds:
    counts: Counter[tuple[str, str]] = Counter()

    async def count_up(name: str, credential: str, _by: int) -> int:
        counts[name, credential] += 1
        return counts[name, credential]

    return SeededIds(0, count_up)


def test_request_ids_are_reserved_in_blocks() -> None:
    counts: Counter[str] = Counter()

    async def count_up(_name: str, credential: str, _by: int) -> int:
        counts[credential] += 1
        return counts[credential]

    async def run() -> None:
        ids = RequestIds(SeededIds(0, count_up), DEAF)
        first = [await ids.draw("me", "request", 16) for _ in range(BLOCK + 1)]
        assert counts == {"me": 2}
        assert len(set(first)) == BLOCK + 1
        # They are those that a draw without blocks gives.
        assert first[:5] == [await plain.draw("me", "request", 16) for _ in range(5)]
        await ids.load()
        after = await ids.draw("me", "request", 16)
        assert after not in first
        # A reset of the credential also resets the counter.
        await ids.forget("you")
        assert counts == {"me": 3}
        counts.clear()
        await ids.forget("me")
        assert [await ids.draw("me", "request", 16) for _ in range(9)] == first[:9]

    plain = seeded()
    asyncio.run(run())


def test_request_ids_that_are_drawn_at_once_share_a_block() -> None:
    async def run() -> list[bytes]:
        ids = RequestIds(seeded(), DEAF)
        return await asyncio.gather(*(ids.draw("me", "request", 16) for _ in range(50)))

    assert asyncio.run(run()) == draw_requests(50)


def draw_requests(times: int) -> list[bytes]:
    async def run() -> list[bytes]:
        ids = RequestIds(seeded(), DEAF)
        return [await ids.draw("me", "request", 16) for _ in range(times)]

    return asyncio.run(run())
