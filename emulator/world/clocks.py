"""Storage of the clocks' settings in the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from emulator.backends.records import Records
from emulator.backends.records.kept import RecordCache
from emulator.backends.stateful import Check, EntryCheck, Stateful, belongs_to_its_key, strictly
from emulator.clock import Clock, Setting
from emulator.deferral import DeferredAdapter

SETTING = DeferredAdapter(Setting)


def _setting(document: Mapping[str, Any]) -> Setting:
    """Return the setting in a stored document. Raise ValueError if the time of the clock is out of range."""
    setting = strictly(SETTING, document)
    try:
        datetime.fromtimestamp(setting.now(), UTC)
    except (OverflowError, OSError) as error:
        raise ValueError("the time is outside the range of dates") from error
    return setting


class Clocks(Stateful):
    """The stored settings of the clocks of all credentials."""

    def __init__(self, clock: Clock, records: Records) -> None:
        self._clock = clock
        self._cache: RecordCache[Setting] = RecordCache(
            records, "clock", Setting.to_document, _setting, self._set_all
        )

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validator of stored clock settings. The time of a clock must be a valid date."""
        return self._cache.checks

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """The key of a clock setting must be its credential."""
        return {"clock": belongs_to_its_key}

    async def load(self) -> None:
        """Set every clock with a stored setting to that setting, and reset all other clocks."""
        await self._cache.load()
        self._set_all()

    async def change(self, credential: str, change: Callable[[Setting], Setting]) -> None:
        """Replace the setting of a credential's clock by the result of ``change``, and store it.

        ``change`` gets the current setting. If another process changes the clock at the same time, ``change``
        is called again with the new setting. An exception that it raises is passed on.
        """

        def changed(stored: Setting | None) -> Setting:
            return change(stored or self._clock.setting(credential))

        after = await self._cache.change(credential, credential, changed)
        if after is not None:
            self._clock.set(after, credential)

    async def forget(self, credential: str | None) -> None:
        """Undo all changes to the clock of ``credential``, or to all clocks if it is None."""
        self._clock.forget(credential)
        await self._cache.forget(credential)

    def _set_all(self) -> None:
        self._clock.replace({key: entry.value for key, entry in self._cache.items().items()})
