"""``Takeover``, which resumes deliveries that no process sends, such as those of a dead replica."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Final

from emulator.backends.records import Record, Records
from emulator.backends.records.purge import BATCH
from emulator.backends.replicas import Replicas
from emulator.backends.sweeper import Sweeper
from emulator.backends.unavailable import StoreUnavailable
from emulator.webhooks.deliveries import Deliveries, Kept
from emulator.webhooks.delivery import DeliveryState, fail, unheld
from emulator.webhooks.dispatcher import UNREACHABLE, Dispatcher
from emulator.webhooks.endpoints import Endpoints

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 2.0
"""Real seconds between two searches for deliveries whose owner is dead."""


class Takeover:
    """Resumes unfinished deliveries, after a restart or when their owner is dead.

    Parameters
    ----------
    records, deliveries, endpoints
        The database, and the deliveries and endpoints in it.
    dispatcher
        Sends the deliveries that are resumed.
    replicas
        The processes that share the deliveries.
    """

    def __init__(
        self,
        records: Records,
        deliveries: Deliveries,
        endpoints: Endpoints,
        dispatcher: Dispatcher,
        replicas: Replicas,
    ) -> None:
        self._records = records
        self._deliveries = deliveries
        self._endpoints = endpoints
        self._dispatcher = dispatcher
        self._replicas = replicas
        self._sweeper = Sweeper(
            records, self.sweep, SWEEP_SECONDS, "deliveries of dead replicas could not be resumed"
        )
        # Deliveries of this replica that nothing was sending at the last sweep.
        self._idle: set[int] = set()

    def start(self) -> None:
        """Start sweeping regularly, if other replicas can share the database."""
        self._sweeper.start()

    async def close(self) -> None:
        """Stop sweeping."""
        await self._sweeper.close()

    async def take_all(self) -> None:
        """Become the owner of all unfinished deliveries, and resume them."""
        for record in await self._deliveries.unfinished():
            await self._take(record)

    async def sweep(self) -> None:
        """Resume the deliveries that no live replica sends.

        These are the deliveries whose owner is dead, and those of this replica that nothing has sent since
        the previous sweep, for example because the result of a write was lost.
        """
        asleep = self._dispatcher.asleep
        await self._records.catch_up()
        found = await self._deliveries.unfinished()
        # Read the replicas after the deliveries, so that an owner that has just started does not seem dead.
        living = {*await self._replicas.living(), self._replicas.me}
        mine = [each for each in found if _owner(each) == self._replicas.me]
        for serial in asleep - {each.serial for each in mine}:
            self._dispatcher.drop(serial)  # it has ended, was deleted, or has another owner now
        idle = {each.serial for each in mine if self._is_idle(each)}
        left = [each for each in found if each.serial in idle & self._idle or _owner(each) not in living]
        self._idle = idle
        for number, each in enumerate(left):
            if number % BATCH == BATCH - 1:
                await asyncio.sleep(0)
            try:
                await self._take(each)
            except StoreUnavailable:
                raise
            except Exception:
                logger.exception("the delivery %s could not be resumed", each.key)

    def _is_idle(self, record: Record) -> bool:
        """Return whether a delivery of this replica may have to be resumed, unless a plan holds it back."""
        state = record.document["state"]
        return state == DeliveryState.PREPARED or (
            state == DeliveryState.WAITING and not self._dispatcher.is_sending(record.serial)
        )

    async def _take(self, record: Record) -> None:
        """Become the owner of an unfinished delivery, if it has not changed, and resume it."""
        kept = Kept.read_from(record)
        if kept.delivery.owner != self._replicas.me:
            # If a plan held the delivery back, the plan ended when the owner died.
            mine = unheld(replace(kept.delivery, owner=self._replicas.me))
            taken = await self._deliveries.replace(kept, mine)
            if taken is None:
                return  # another replica was faster
            kept = taken
        delivery = kept.delivery
        if delivery.state is DeliveryState.WAITING:
            self._dispatcher.start(kept)
        elif delivery.state is DeliveryState.HELD:
            self._dispatcher.start_held(kept)
        elif self._endpoints.get_enabled(delivery.endpoint_id) is not None:
            await self._endpoints.sources[delivery.vendor].announce_again(delivery.task_id)
        else:
            await self._deliveries.change(kept, lambda current: fail(current, UNREACHABLE))


def _owner(record: Record) -> str:
    return str(record.document.get("owner", ""))
