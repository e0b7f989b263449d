"""``vendor_application``, which builds the ASGI application of one vendor."""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import partial

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.web.call import Intercepted
from emulator.web.cors import Cors
from emulator.web.edge import Edge
from emulator.web.forms.request import FormRoute
from emulator.web.on_demand import OnDemand, RoutesOnDemand
from emulator.web.vendor import Api, Vendor, VendorSettings
from emulator.world.error_catalogue import VendorError
from emulator.world.operation import Operation
from emulator.world.world import World

logger = logging.getLogger(__name__)


class _Application(FastAPI):
    """A FastAPI application without the middlewares that every FastAPI application has.

    Other parts of the emulator do their work: see `Edge`, and `emulator.web.exchange.Exchange`.
    """

    edge: ASGIApp

    def build_middleware_stack(self) -> ASGIApp:
        """Return the vendor's own middlewares around `Edge`."""
        app = self.edge
        for each in reversed(self.user_middleware):
            app = each.cls(app, *each.args, **each.kwargs)
        return app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)


class _Routes:
    """The routes of a vendor, which are added to its application API by API, or all at once.

    Attributes
    ----------
    operations : mapping of str to Operation
        The operations whose routes have been added, by name.
    all : OnDemand
        Adds all routes.
    """

    def __init__(self, app: FastAPI, vendor: Vendor) -> None:
        self._app = app
        self._vendor = vendor
        self._parts = [OnDemand(partial(self._add, api)) for api in vendor.apis]
        self.operations: dict[str, Operation] = {}
        self.all = OnDemand(self._add_all)

    def part_at(self, path: str) -> OnDemand | None:
        """Return the function that adds the routes of the only API that can serve a path."""
        api = self._vendor.api_at(path)
        return None if api is None else self._parts[self._vendor.apis.index(api)]

    def _add(self, api: str | Api) -> None:
        for operation in self._vendor.load(api).operations:
            self.operations[operation.name] = operation
            for path in operation.paths:
                self._app.add_api_route(
                    path,
                    operation.endpoint,
                    methods=[*operation.methods],
                    name=operation.name,
                    response_model=None,
                )

    def _add_all(self) -> None:
        for part in self._parts:
            part.run()


def vendor_application(
    vendor: Vendor, world: World, settings: VendorSettings, origins: Collection[str] = ()
) -> FastAPI:
    """Return an application that serves a vendor's operations, and answers all other requests with errors.

    If the vendor's dialect has ``open_paths``, web pages of ``origins`` may read all responses. The routes
    find ``world`` and ``settings`` in ``app.state``. The routes of an API are added at the
    first request to it, and all routes by ``app.state.routes_later``. Like the real services, the application
    serves no OpenAPI document, and does not redirect paths that end in a slash.
    """
    dialect = vendor.dialect

    async def render(request: Request, error: VendorError) -> Response:
        said = dialect.choose(request, error)
        return await dialect.render(request, said.overridden(settings.errors.get(said.entry.name)))

    app = _Application(openapi_url=None, redirect_slashes=False)
    routes = _Routes(app, vendor)
    app.edge = Edge(app, routes.operations, dialect, settings, render, world)
    app.router.route_class = FormRoute
    app.state.world = world
    app.state.settings = settings
    app.state.routes_later = routes.all

    @app.exception_handler(VendorError)
    async def in_catalogue(request: Request, error: VendorError) -> Response:
        return await render(request, error)

    @app.exception_handler(Intercepted)
    async def intercepted(_request: Request, _error: Intercepted) -> Response:
        return Response()  # never sent: ``Exchange`` replaces it or drops the connection

    @app.exception_handler(HTTPException)
    async def not_served(request: Request, error: HTTPException) -> Response:
        entry = {404: dialect.unknown_path, 405: dialect.wrong_method}.get(error.status_code)
        if entry is None:
            return await http_exception_handler(request, error)
        return await render(request, entry.occur())

    if dialect.open_paths:
        app.add_middleware(
            Cors, origins=origins, open_paths=dialect.open_paths, expose=dialect.exposed_headers
        )
    app.add_middleware(RoutesOnDemand, routes=routes.all, part_at=routes.part_at)
    vendor.install(app, world, settings)
    return app
