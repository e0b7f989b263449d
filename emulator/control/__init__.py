"""The control API at ``/_emulator``, and ``Client``, its Python client."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.control.client import Client as Client
    from emulator.control.client import ControlError as ControlError


def __getattr__(name: str) -> object:
    # Import the client on first use, because the server does not need it.
    if name in {"Client", "ControlError"}:
        from emulator.control import client  # noqa: PLC0415 - see above

        return getattr(client, name)
    raise AttributeError(name)
