"""A vendor's application: its operations as routes, and the edge that words what no route answers."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.web.call import Intercepted
from emulator.web.exchange import BodyTooLarge, ConnectionDropped, Exchange, exchange_of
from emulator.web.vendor import Vendor, VendorSettings
from emulator.world.catalogue import VendorError
from emulator.world.world import World

logger = logging.getLogger(__name__)

Render = Callable[[Request, VendorError], Awaitable[Response]]


def vendor_application(vendor: Vendor, world: World, settings: VendorSettings) -> FastAPI:
    """Return an application with a vendor's operations.

    Its routes find ``world`` and ``settings`` in ``app.state``. It serves no documents and redirects
    nothing, as the real services do neither.
    """
    dialect = vendor.dialect

    async def render(request: Request, error: VendorError) -> Response:
        said = dialect.choose(request, error)
        return await dialect.render(request, said.worded(settings.errors.get(said.entry.name)))

    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.world = world
    app.state.settings = settings
    for operation in vendor.operations.values():
        for path in operation.paths:
            app.add_api_route(
                path,
                operation.endpoint,
                methods=[*operation.methods],
                name=operation.name,
                response_model=None,
            )

    @app.exception_handler(VendorError)
    async def in_catalogue(request: Request, error: VendorError) -> Response:
        response = await render(request, error)
        if error.entry.status == HTTPStatus.METHOD_NOT_ALLOWED:
            # Asked for, on a route: an answer with this status has to name the methods (RFC 9110, 15.5.6).
            response.headers["Allow"] = _methods_at(vendor, request.scope["path"])
        return response

    @app.exception_handler(Intercepted)
    async def intercepted(_request: Request, _error: Intercepted) -> Response:
        return Response()  # which nobody gets to see

    @app.exception_handler(HTTPException)
    async def not_served(request: Request, error: HTTPException) -> Response:
        entry = {404: dialect.unknown_path, 405: dialect.wrong_method}.get(error.status_code)
        if entry is None:
            response = await http_exception_handler(request, error)
        else:
            response = await render(request, entry.occur())
            response.headers.update(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            # Starlette names the methods of one route alone, where several may share a path, and in an
            # order that differs from process to process.
            response.headers["Allow"] = _methods_at(vendor, request.scope["path"])
        return response

    app.add_middleware(Edge, vendor=vendor, settings=settings, render=render)
    vendor.install(app, world, settings)
    return app


def _methods_at(vendor: Vendor, path: str) -> str:
    """Return the methods that are served at a path, as a header lists them."""
    methods = {
        method
        for operation in vendor.operations.values()
        if any(compile_path(each)[0].match(path) for each in operation.paths)
        for method in operation.methods
    }
    return ", ".join(sorted(methods))


class Edge:
    """ASGI middleware around a vendor's routes that answers in the vendor's words where no route does.

    It refuses a body that is too long while it streams in, logs and words a defect of the emulator
    (in place of an exception handler, which would answer past the vendor's own middleware), and decides
    what goes wrong with a call at the latest when its answer begins: a call that no route has
    identified belongs to the caller that the vendor guesses, or to nobody, and rules for everybody hold
    for that too.
    """

    def __init__(self, app: ASGIApp, vendor: Vendor, settings: VendorSettings, render: Render) -> None:
        self._app = app
        self._render = render
        self._dialect = vendor.dialect
        self._default = _Limit((), vendor.dialect.longest_body(settings), vendor.dialect.too_large)
        self._static: dict[str, list[_Limit]] = {}
        self._templates: list[tuple[re.Pattern[str], _Limit]] = []
        for operation in vendor.operations.values():
            limit = _Limit(
                operation.methods,
                (operation.longest_body or vendor.dialect.longest_body)(settings),
                operation.too_large or vendor.dialect.too_large,
            )
            for path in operation.paths:
                if "{" in path:
                    self._templates.append((compile_path(path)[0], limit))
                else:
                    self._static.setdefault(path, []).append(limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        answer = _Answer(exchange, self._decide, scope, send)
        limit = self._limit(scope)
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if limit.longest is not None and declared.isdigit() and int(declared) > limit.longest:
            refusal: VendorError | None = limit.too_large
        else:
            exchange.longest_body = limit.longest
            refusal = await self._serve(scope, receive, answer)
            if exchange.is_too_large:
                refusal = limit.too_large
            exchange.longest_body = None
        if refusal is not None:
            response = await self._render(Request(scope, receive), refusal)
            await response(scope, receive, answer.send)
        if answer.replacement is not None:
            await answer.replacement(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, answer: _Answer) -> VendorError | None:
        """Have a route answer, and return the error that is to be answered in its place, if one is."""
        try:
            await self._app(scope, receive, answer.send_unless_too_large)
        except BodyTooLarge:
            return None  # which the exchange remembers
        except (ClientDisconnect, ConnectionDropped):
            raise
        except Exception:
            logger.exception("%s %s failed unexpectedly", scope["method"], scope["path"])
            if answer.has_started:
                raise
            return self._dialect.defect.occur()
        return None

    async def _decide(self, scope: Scope) -> Response | None:
        """Decide what goes wrong with a call, and return what replaces its answer, if anything does."""
        call = scope["state"]["call"]
        if call.is_decided:
            return None
        request = Request(scope)
        try:
            await call.identify(await self._dialect.guess_caller(request))
        except VendorError as error:
            return await self._render(request, error)
        except Intercepted:
            return Response()
        return None

    def _limit(self, scope: Scope) -> _Limit:
        """Return how long a body may be: the method decides, where several are served at a path."""
        path = scope["path"]
        found = self._static.get(path) or [limit for each, limit in self._templates if each.match(path)]
        ours = (limit for limit in found if scope["method"] in limit.methods)
        return next(ours, found[0] if found else self._default)


@dataclass(frozen=True)
class _Limit:
    """How many bytes a body may have, and what answers a longer one."""

    methods: tuple[str, ...]
    longest: int | None
    too_large: VendorError


class _Answer:
    """An answer on its way to the exchange: decided before it begins."""

    def __init__(
        self,
        exchange: Exchange,
        decide: Callable[[Scope], Awaitable[Response | None]],
        scope: Scope,
        send: Send,
    ) -> None:
        self._exchange = exchange
        self._decide = decide
        self._scope = scope
        self._send = send
        self.replacement: Response | None = None
        self.has_started = False

    async def send(self, message: Message) -> None:
        """Send a message, unless something replaces the answer."""
        if message["type"] == "http.response.start":
            self.replacement = await self._decide(self._scope)
        if self.replacement is None:
            self.has_started = True
            await self._send(message)

    async def send_unless_too_large(self, message: Message) -> None:
        """Send a message of a route; what it makes of a body that was cut short is not answered."""
        if not self._exchange.is_too_large:
            await self.send(message)
