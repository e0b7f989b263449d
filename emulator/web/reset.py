"""Forgetting: what a credential owns, or everything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from emulator.web.services import Services


async def reset(
    services: Services, credential: str | None, reload: Sequence[Callable[[], Awaitable[None]]] = ()
) -> None:
    """Forget what a credential owns, or everything: its records, counters and blobs.

    Tasks that are under way are given up, and leave nothing behind. Since the counters begin again,
    the same calls get the same ids as the first time. ``reload`` are called at the end, by those who
    hold in memory what the records say.
    """
    async with services.tasks.paused(credential):
        await services.records.clear(credential)
        await services.blobs.clear(credential)
        for load in reload:
            await load()
