"""How long things live, where a tester has said so for a credential."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from emulator.backends.records import Records
from emulator.backends.records.kept import Kept
from emulator.backends.stateful import Check, Stateful
from emulator.clock import EVERYBODY

KIND = "lifetimes"

Lifetime = int | float | None
"""A number of what the setting's name says, seconds or days; None is for ever."""

Settings = TypeVar("Settings", bound=BaseModel)

_DOCUMENT = TypeAdapter(dict[str, Lifetime])


class LifetimeRefused(Exception):
    """There is no such lifetime, or it cannot be so long."""

    def __init__(self, vendor: str, reason: str) -> None:
        super().__init__(vendor, reason)
        self.vendor = vendor
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.vendor}: {self.reason}"


class Lifetimes(Stateful):
    """What credentials have in place of the lifetimes of the vendors' settings.

    Parameters
    ----------
    records : Records
        Where they survive, if records do.
    settings : mapping of str to model
        The vendors' settings, by vendor.
    names : mapping of str to sequence of str
        Which of these settings are lifetimes.
    """

    def __init__(
        self, records: Records, settings: Mapping[str, BaseModel], names: Mapping[str, Sequence[str]]
    ) -> None:
        self._kept: Kept[Mapping[str, Lifetime]] = Kept(records, KIND, dict, _DOCUMENT.validate_python)
        self._settings = settings
        self._names = {vendor: tuple(mine) for vendor, mine in names.items() if mine}

    def of(self, vendor: str, credential: str, settings: Settings) -> Settings:
        """Return a vendor's settings as they are for a credential: its own lifetimes, or everybody's."""
        changes: dict[str, Lifetime] = {}
        for each in (EVERYBODY, credential):
            changes.update(self._kept.get(_key(vendor, each)) or {})
        return settings.model_copy(update=changes) if changes else settings

    def read(self, credential: str) -> dict[str, dict[str, Lifetime]]:
        """Return all lifetimes as they are for a credential, by vendor and name."""
        found = {}
        for vendor, names in self._names.items():
            settings = self.of(vendor, credential, self._settings[vendor])
            found[vendor] = {name: getattr(settings, name) for name in names}
        return found

    def check(self, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Lifetime]]:
        """Return lifetimes by vendor and name, as they are stored.

        Raises
        ------
        LifetimeRefused
            If one is not there, or cannot be so long.
        """
        return {vendor: self._check(vendor, mine) for vendor, mine in wanted.items()}

    async def put(self, credential: str, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        """Set lifetimes of a credential, or everybody's; those that are not named stay.

        Raises
        ------
        LifetimeRefused
            If one is not there, or cannot be so long; then nothing is set.
        """
        for vendor, mine in self.check(wanted).items():
            key = _key(vendor, credential)
            await self._kept.put(key, credential, {**(self._kept.get(key) or {}), **mine})

    @property
    def checks(self) -> Mapping[str, Check]:
        """Recorded lifetimes have to be numbers."""
        return self._kept.checks

    async def load(self) -> None:
        """Read the lifetimes from the records."""
        await self._kept.load()

    async def forget(self, credential: str | None) -> None:
        """Go back to everybody's lifetimes, or to the settings' for everybody; or for all."""
        await self._kept.forget(credential)

    def _check(self, vendor: str, wanted: Mapping[str, Any]) -> dict[str, Lifetime]:
        if vendor not in self._names:
            raise LifetimeRefused(vendor, f"nothing has a lifetime there; it has at {', '.join(self._names)}")
        for name in wanted:
            if name not in self._names[vendor]:
                names = ", ".join(self._names[vendor])
                raise LifetimeRefused(vendor, f"there is no lifetime {name}; there are {names}")
        try:
            settings = type(self._settings[vendor]).model_validate(dict(wanted))
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise LifetimeRefused(vendor, wrong) from error
        return {name: getattr(settings, name) for name in wanted}


def _key(vendor: str, credential: str) -> str:
    return f"{vendor}\n{credential}"
