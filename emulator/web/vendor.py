"""What a vendor is to the rest of the house, and how its requests reach it."""

from __future__ import annotations

import contextlib
import importlib
import logging
import pkgutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import ModuleType
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from pydantic import BaseModel, ConfigDict, Field, Json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.web.call import ConnectionDropped, Intercepted, Undecided
from emulator.web.catalogue import CatalogueEntry, ErrorCatalogue, VendorError, Wording
from emulator.web.faults import Target
from emulator.web.limits import BodyLimit, BodyTooLarge
from emulator.web.meter import PriceTable
from emulator.web.services import Services

logger = logging.getLogger(__name__)


class VendorSettings(BaseModel):
    """The base of a vendor's own settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # From the environment it arrives as the text of a JSON object.
    errors: Mapping[str, Wording] | Json[Mapping[str, Wording]] = Field(
        default_factory=dict,
        description="Another `status` or `text` for errors of the catalogue, by name, as a JSON object: "
        "what is guessed can be corrected.",
    )
    prices: PriceTable | Json[PriceTable] = Field(
        default_factory=dict,
        description="What a billed call of an operation costs, or a `unit`, as a JSON object: "
        '`{"<operation>": {"amount": "0.02", "currency": "USD"}}`.',
    )


def settings_of(request: Request) -> Any:
    """Return the settings with which a vendor's application was built; its folder names their type."""
    return request.app.state.settings


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
    openapi : () -> dict
        Describes the application, as an OpenAPI 3.1 document.
    operations : tuple of str
        What clients can call: the names of its routes.
    task_operations, picture_operations : tuple of str
        Those that create a task, and those that take a picture.
    secrets : tuple of str
        The fields, members and query parameters that carry credentials or signatures.
    lifetimes : tuple of str
        The settings that say how long something lives, which a tester may set for a credential.
    """

    name: str
    title: str
    prefixes: tuple[str, ...]
    hosts: tuple[str, ...]
    settings_model: type[VendorSettings]
    errors: ErrorCatalogue[CatalogueEntry]
    build: Callable[[Services, Any], FastAPI]
    openapi: Callable[[], dict[str, Any]]
    operations: tuple[str, ...] = ()
    task_operations: tuple[str, ...] = ()
    picture_operations: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    lifetimes: tuple[str, ...] = ()

    @property
    def target(self) -> Target:
        """What faults have to know of it."""
        return Target(self.errors, self.operations, self.task_operations, self.picture_operations)


async def _nobodys(_request: Request) -> None:
    return None


@dataclass(frozen=True)
class Dialect:
    """How a vendor words what goes wrong.

    Attributes
    ----------
    render : async (Request, VendorError) -> Response
        Writes an error of the catalogue.
    defect : CatalogueEntry
        For what the emulator itself gets wrong.
    too_large : VendorError
        For a body that is longer than the limit.
    unknown_path, wrong_method : CatalogueEntry or None
        For paths and methods that are not served; None leaves them to FastAPI's words.
    choose : (Request, VendorError) -> VendorError
        Which error is told in place of another one, where layers answer differently.
    whose : async (Request) -> str or None
        Whose call it looks that reaches no route, if its headers tell.
    """

    render: Callable[[Request, VendorError], Awaitable[Response]]
    defect: CatalogueEntry
    too_large: VendorError
    unknown_path: CatalogueEntry | None = None
    wrong_method: CatalogueEntry | None = None
    choose: Callable[[Request, VendorError], VendorError] = lambda _request, error: error
    whose: Callable[[Request], Awaitable[str | None]] = _nobodys


def vendor_application(
    services: Services,
    settings: VendorSettings,
    router: APIRouter,
    dialect: Dialect,
    body_limit: Callable[[str], int | None],
) -> FastAPI:
    """Return an application with a vendor's routes, which find services and settings in ``app.state``.

    ``body_limit`` says how many bytes a request to a path may have, None for any number.
    """

    # No documents and no redirects: the real service has neither.
    async def render(request: Request, error: VendorError) -> Response:
        said = dialect.choose(request, error)
        return await dialect.render(request, said.worded(settings.errors.get(said.entry.name)))

    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.services = services
    app.state.settings = settings
    app.include_router(router)

    @app.exception_handler(VendorError)
    async def in_catalogue(request: Request, error: VendorError) -> Response:
        response = await render(request, error)
        if error.entry.status == HTTPStatus.METHOD_NOT_ALLOWED:
            # Asked for, on a route: an answer with this status has to name the methods (RFC 9110, 15.5.6).
            response.headers["Allow"] = ", ".join(sorted(request.scope["route"].methods))
        return response

    @app.exception_handler(Intercepted)
    async def intercepted(_request: Request, _error: Intercepted) -> Response:
        return Response()  # which nobody gets to see

    app.add_middleware(AnsweredDefects, render=lambda request: render(request, dialect.defect.occur()))
    app.add_middleware(BodyLimit, limit=body_limit, refuse=lambda request: render(request, dialect.too_large))
    app.add_middleware(Undecided, render=render, whose=dialect.whose)

    @app.exception_handler(HTTPException)
    async def not_served(request: Request, error: HTTPException) -> Response:
        entry = {404: dialect.unknown_path, 405: dialect.wrong_method}.get(error.status_code)
        if entry is None:
            return await http_exception_handler(request, error)
        response = await render(request, entry.occur())
        response.headers.update(error.headers or {})
        return response

    return app


class AnsweredDefects:
    """ASGI middleware that logs what the emulator gets wrong, and answers in the vendor's words.

    In place of an exception handler, which would answer past the vendor's own middleware.
    """

    def __init__(self, app: ASGIApp, render: Callable[[Request], Awaitable[Response]]) -> None:
        self._app = app
        self._render = render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except (BodyTooLarge, ClientDisconnect, ConnectionDropped):
            raise
        except Exception:
            logger.exception("%s %s failed unexpectedly", scope["method"], scope["path"])
            if started:
                raise
            response = await self._render(Request(scope, receive))
            await response(scope, receive, send)


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
        # Nobody is there to be answered any more.
        with contextlib.suppress(ClientDisconnect):
            await app(scope, receive, send)

    def _choose(self, scope: Scope) -> ASGIApp:
        # A base URL that ends in a slash makes two of them.
        path = "/" + scope["path"].lstrip("/")
        scope["path"] = path
        if path.startswith("/_emulator/"):
            return self._app
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").partition(":")[0].lower()
        if host in self._by_host:
            return self._by_host[host]
        for prefix, app in self._by_prefix:
            if path == prefix or path.startswith(prefix + "/"):
                return app
        return self._app
