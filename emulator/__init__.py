"""A local emulator of three face-AI web APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.version import VERSION

if TYPE_CHECKING:
    from emulator.app import create_app
    from emulator.settings import Settings

__all__ = ["Settings", "__version__", "create_app"]

__version__ = VERSION


def __getattr__(name: str) -> Any:
    # Loaded on demand: worker processes import this package too, but do not need a web framework.
    match name:
        case "create_app":
            from emulator.app import create_app  # noqa: PLC0415 - on demand, see above

            return create_app
        case "Settings":
            from emulator.settings import Settings  # noqa: PLC0415 - on demand, see above

            return Settings
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
