"""A local emulator of three face-AI web APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.app import create_app
    from emulator.settings import Settings

    __version__: str

__all__ = ["Settings", "__version__", "create_app"]


def __getattr__(name: str) -> Any:
    # Import these on demand. Commands and worker processes import this package too, but need no web
    # framework, and reading the version is slow.
    match name:
        case "__version__":
            from emulator.version import VERSION  # noqa: PLC0415 - on demand, see above

            return VERSION
        case "create_app":
            from emulator.app import create_app  # noqa: PLC0415 - on demand, see above

            return create_app
        case "Settings":
            from emulator.settings import Settings  # noqa: PLC0415 - on demand, see above

            return Settings
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
