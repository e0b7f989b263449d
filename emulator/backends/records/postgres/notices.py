"""``Notices``, which collects the notifications of the database, and calls the listeners."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

from emulator.backends.records.postgres.texts import unindexed
from emulator.backends.records.protocol import Heard
from emulator.backends.unavailable import StoreUnavailable

logger = logging.getLogger(__name__)


class Notices:
    """The changes that were not delivered to the listeners yet, without duplicates."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Heard]] = {}
        self._anything = False
        # The keys of changed documents by kind. None stands for all keys of a kind.
        self._changed: dict[str, dict[str, None] | None] = {}

    def __bool__(self) -> bool:
        """Whether there are undelivered changes."""
        return self._anything or bool(self._changed)

    def listen(self, kind: str, heard: Heard) -> None:
        """From now on, call ``heard`` for each change of a document of a kind, after earlier listeners."""
        self._listeners.setdefault(kind, []).append(heard)

    def add(self, payload: str) -> None:
        """Add the change in the payload of a notification."""
        try:
            kind, indexed, *_ = json.loads(payload)
        except ValueError:
            # An empty payload means that any document may have changed.
            self.add_anything()
            return
        if kind in self._listeners and not self._anything:
            self._add(kind, unindexed(indexed))

    def add_anything(self) -> None:
        """Record that any document may have changed."""
        self._anything = True
        self._changed.clear()

    async def deliver(self) -> None:
        """Call the listeners until all changes are delivered.

        Raises
        ------
        StoreUnavailable
            If a listener cannot read a changed document. The next call delivers the remaining changes.
        """
        while self:
            todo = list(self._take())
            while todo:
                try:
                    await self._notify(*todo[0])
                except BaseException:
                    for each in todo:
                        self._add(*each)
                    raise
                todo.pop(0)

    async def _notify(self, kind: str, key: str | None) -> None:
        for heard in list(self._listeners.get(kind, ())):
            try:
                await heard(key)
            except StoreUnavailable:
                raise
            except Exception:
                logger.exception("a listener failed after a change of %s", kind)

    def _take(self) -> Iterator[tuple[str, str | None]]:
        """Remove the undelivered changes, and yield their kinds and keys."""
        changed, self._changed = self._changed, {}
        if self._anything:
            self._anything = False
            changed = dict.fromkeys(self._listeners)
        for kind, keys in changed.items():
            for key in (None,) if keys is None else keys:
                yield kind, key

    def _add(self, kind: str, key: str | None) -> None:
        if self._anything:
            return
        keys = self._changed.setdefault(kind, {})
        if key is None:
            self._changed[kind] = None
        elif keys is not None:
            keys[key] = None
