"""Lifetimes: how long URLs, files, tasks and the like last. A tester can change them for a credential."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from emulator.backends.records import Records
from emulator.backends.records.kept import RecordCache
from emulator.backends.stateful import Check, EntryCheck, Stateful, Stored, require
from emulator.clock import ALL_CREDENTIALS
from emulator.deferral import DeferredAdapter

KIND = "lifetimes"

Lifetime = int | float | None
"""A number of seconds or days. The unit is at the end of the lifetime's name. None means no expiry."""

Settings = TypeVar("Settings", bound=BaseModel)

_DOCUMENT = DeferredAdapter(dict[str, Lifetime])


class LifetimeRefused(Exception):
    """A lifetime does not exist, or its value is invalid."""

    def __init__(self, vendor: str, reason: str) -> None:
        super().__init__(vendor, reason)
        self.vendor = vendor
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.vendor}: {self.reason}"


class Lifetimes(Stateful):
    """Lifetimes that a tester sets, for one credential or as the default for all.

    They replace the values of the vendors' settings.

    Parameters
    ----------
    records : Records
        Storage of the lifetimes.
    settings : mapping of str to model
        Settings of each vendor.
    names : mapping of str to sequence of str
        For each vendor, the names of the settings that are lifetimes.
    """

    def __init__(
        self, records: Records, settings: Mapping[str, BaseModel], names: Mapping[str, Sequence[str]]
    ) -> None:
        self._cache: RecordCache[Mapping[str, Lifetime]] = RecordCache(
            records, KIND, dict, _DOCUMENT.validate_python
        )
        self._settings = settings
        self._names = {vendor: tuple(mine) for vendor, mine in names.items() if mine}

    def of(self, vendor: str, credential: str, settings: Settings) -> Settings:
        """Return the vendor's ``settings`` with the lifetimes that apply to ``credential``."""
        if self._cache.is_empty:
            return settings
        changes: dict[str, Lifetime] = {}
        for each in (ALL_CREDENTIALS, credential):
            changes.update(self._cache.get(_key(vendor, each)) or {})
        return settings.model_copy(update=changes) if changes else settings

    def read(self, credential: str) -> dict[str, dict[str, Lifetime]]:
        """Return all lifetimes that apply to a credential, by vendor and name."""
        found = {}
        for vendor, names in self._names.items():
            settings = self.of(vendor, credential, self._settings[vendor])
            found[vendor] = {name: getattr(settings, name) for name in names}
        return found

    def check(self, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Lifetime]]:
        """Return the validated lifetimes, by vendor and name.

        Raises
        ------
        LifetimeRefused
            If a lifetime does not exist, or its value is invalid.
        """
        return {vendor: self._check(vendor, mine) for vendor, mine in wanted.items()}

    async def put(self, credential: str, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        """Set lifetimes of a credential, or default lifetimes. Omitted lifetimes stay as they are.

        Raises
        ------
        LifetimeRefused
            If a lifetime does not exist, or its value is invalid. In this case, no lifetime is set.
        """
        for vendor, mine in self.check(wanted).items():
            await self._cache.change(_key(vendor, credential), credential, partial(_with, mine))

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validator of stored lifetimes, which must be numbers or null."""
        return self._cache.checks

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """The key must name a vendor and the credential of the lifetimes, which must exist and be valid."""
        return {KIND: self._check_entry}

    async def load(self) -> None:
        """Read the lifetimes from the database."""
        await self._cache.load()

    async def forget(self, credential: str | None) -> None:
        """Remove the lifetimes that were set for ``credential``, or all lifetimes if it is None."""
        await self._cache.forget(credential)

    def _check_entry(self, entry: Stored) -> None:
        vendor = entry.key.partition("\n")[0]
        require(entry.key == _key(vendor, entry.credential), "the key must name the vendor")
        try:
            found = self._check(vendor, entry.document)
        except LifetimeRefused as error:
            raise ValueError(str(error)) from error
        require(found == entry.document, "a lifetime must be a number")

    def _check(self, vendor: str, wanted: Mapping[str, Any]) -> dict[str, Lifetime]:
        if vendor not in self._names:
            raise LifetimeRefused(
                vendor, f"not a vendor with lifetimes; vendors with lifetimes: {', '.join(self._names)}"
            )
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


def _with(
    added: Mapping[str, Lifetime], before: Mapping[str, Lifetime] | None
) -> Mapping[str, Lifetime] | None:
    return {**(before or {}), **added}


def _key(vendor: str, credential: str) -> str:
    return f"{vendor}\n{credential}"
