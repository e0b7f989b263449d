"""Keeps in the records how clocks are set, so that they survive if the records do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from emulator.backends.records import Records
from emulator.backends.records.kept import Kept
from emulator.backends.stateful import Check, Stateful
from emulator.clock import Clock, Setting

SETTING = TypeAdapter(Setting)


def _setting(document: Mapping[str, Any]) -> Setting:
    """Return a recorded setting, if a clock can be set so."""
    setting = SETTING.validate_python(document)
    try:
        datetime.fromtimestamp(setting.now(), UTC)
    except (OverflowError, OSError) as error:
        raise ValueError("no date is as far away") from error
    return setting


class Clocks(Stateful):
    """The clocks of all credentials, as the records have them."""

    def __init__(self, clock: Clock, records: Records) -> None:
        self._clock = clock
        self._kept: Kept[Setting] = Kept(records, "clock", Setting.to_document, _setting)

    @property
    def checks(self) -> Mapping[str, Check]:
        """A setting has to be one that a clock can have."""
        return self._kept.checks

    async def load(self) -> None:
        """Set the clocks as the records say, and no others."""
        await self._kept.load()
        self._clock.forget()
        for credential, entry in self._kept.items().items():
            self._clock.set(entry.value, credential)

    async def keep(self, credential: str) -> None:
        """Record how a credential's clock is set."""
        await self._kept.put(credential, credential, self._clock.setting(credential))

    async def forget(self, credential: str | None) -> None:
        """Have a credential follow everybody's clock again, and everybody the settings'; or all of them."""
        self._clock.forget(credential)
        await self._kept.forget(credential)
