"""What a vendor is to the rest of the house, and how its requests reach it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, ConfigDict
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.web.catalogue import ErrorCatalogue
from emulator.web.services import Services


class VendorSettings(BaseModel):
    """The base of a vendor's own settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Vendor:
    """One emulated vendor: the only name that its folder shows to others.

    Attributes
    ----------
    name : str
        The folder's name.
    title : str
        What people call it.
    prefixes : tuple of str
        The path prefixes that are this vendor's, such as ``/facepp``. Everything below them is
        answered by its application, unknown paths included.
    hosts : tuple of str
        The vendor's own host names: a request to one of them is this vendor's, whatever its path.
    settings_model : type of VendorSettings
        Its own settings.
    errors : ErrorCatalogue
        Its errors.
    build : (Services, settings) -> FastAPI
        Makes the application, given an instance of ``settings_model``. Registers the vendor's jobs
        with ``services.tasks``.
    """

    name: str
    title: str
    prefixes: tuple[str, ...]
    hosts: tuple[str, ...]
    settings_model: type[VendorSettings]
    errors: ErrorCatalogue
    build: Callable[[Services, Any], FastAPI]


def vendor_application(services: Services, settings: VendorSettings, router: APIRouter) -> FastAPI:
    """Return an application with a vendor's routes, which find both arguments in ``app.state``."""
    # No documents and no redirects: the real service has neither, and its 404 is its own.
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.services = services
    app.state.settings = settings
    app.include_router(router)
    return app


def discover_vendors(package: ModuleType) -> tuple[Vendor, ...]:
    """Return the ``vendor`` of every folder of ``package``, by name.

    Raises
    ------
    ValueError
        If two vendors claim the same prefix or host.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    vendors = [importlib.import_module(f"{package.__name__}.{name}").vendor for name in names]
    claimed: dict[str, Vendor] = {}
    for vendor in vendors:
        for claim in (*vendor.prefixes, *vendor.hosts):
            if claim in claimed:
                raise ValueError(f"{vendor.name} and {claimed[claim].name} both claim {claim}")
            claimed[claim] = vendor
    return tuple(vendors)


class VendorDispatch:
    """ASGI middleware that hands each request to the vendor whose host or path it names.

    Each vendor has an application of its own, so that its 404, 405 and 500 are its own too.
    """

    def __init__(self, app: ASGIApp, vendors: Sequence[Vendor], applications: Mapping[str, ASGIApp]) -> None:
        self._app = app
        self._by_host = {host: applications[vendor.name] for vendor in vendors for host in vendor.hosts}
        self._by_prefix = [
            (prefix, applications[vendor.name]) for vendor in vendors for prefix in vendor.prefixes
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on."""
        app = self._app if scope["type"] == "lifespan" else self._choose(scope)
        await app(scope, receive, send)

    def _choose(self, scope: Scope) -> ASGIApp:
        path: str = scope["path"]
        if path.startswith("/_emulator/"):
            return self._app
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").partition(":")[0].lower()
        if host in self._by_host:
            return self._by_host[host]
        for prefix, app in self._by_prefix:
            if path == prefix or path.startswith(prefix + "/"):
                return app
        return self._app
