"""The tester's side: ``/_emulator``, and ``Client`` for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.control.client import Client as Client
    from emulator.control.client import ControlError as ControlError


def __getattr__(name: str) -> object:
    # The server itself needs no client, and should start without one.
    if name in {"Client", "ControlError"}:
        from emulator.control import client  # noqa: PLC0415 - the reason stands above

        return getattr(client, name)
    raise AttributeError(name)
