"""Storage of the clocks' settings in the records."""

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
    """Return a recorded setting, or raise ValueError if no clock can have it."""
    setting = SETTING.validate_python(document)
    try:
        datetime.fromtimestamp(setting.now(), UTC)
    except (OverflowError, OSError) as error:
        raise ValueError("the time is outside the range of dates") from error
    return setting


class Clocks(Stateful):
    """The recorded clock settings of all credentials."""

    def __init__(self, clock: Clock, records: Records) -> None:
        self._clock = clock
        self._kept: Kept[Setting] = Kept(records, "clock", Setting.to_document, _setting)

    @property
    def checks(self) -> Mapping[str, Check]:
        """A recorded setting must be one that a clock can have."""
        return self._kept.checks

    async def load(self) -> None:
        """Set the clocks that are in the records, and reset all others."""
        await self._kept.load()
        self._clock.forget()
        for credential, entry in self._kept.items().items():
            self._clock.set(entry.value, credential)

    async def keep(self, credential: str) -> None:
        """Record the current setting of a credential's clock."""
        await self._kept.put(credential, credential, self._clock.setting(credential))

    async def forget(self, credential: str | None) -> None:
        """Reset a credential's clock to the default clock, the default clock to the settings, or all."""
        self._clock.forget(credential)
        await self._kept.forget(credential)
