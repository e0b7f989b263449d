"""Forgetting: what a credential owns, or everything."""

from __future__ import annotations

from emulator.web.services import Services


async def reset(services: Services, credential: str | None) -> None:
    """Forget what a credential owns, or everything: its records, counters and blobs.

    Tasks that are under way are given up, and leave nothing behind. Since the counters begin again,
    the same calls get the same ids as the first time.
    """
    async with services.creations.stopped(credential), services.tasks.paused(credential):
        await services.records.clear(credential)
        await services.blobs.clear(credential)
        for forget in services.forgetters:
            await forget(credential)
