"""``Edge``, which finds the route of a request to a vendor, and answers errors in the vendor's format."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from operator import itemgetter
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.backends.queue import ClientLeft
from emulator.backends.unavailable import StoreUnavailable
from emulator.web.call import Intercepted
from emulator.web.exchange import (
    BodyTimedOut,
    BodyTooLarge,
    ConnectionDropped,
    Exchange,
    exchange_of,
    request_timeout,
)
from emulator.web.length import declared_length
from emulator.web.vendor import Dialect, VendorSettings
from emulator.world.error_catalogue import VendorError
from emulator.world.operation import Operation
from emulator.world.world import World

logger = logging.getLogger(__name__)

Render = Callable[[Request, VendorError], Awaitable[Response]]
"""Renders an error in the vendor's format."""


class Edge:
    """ASGI application that passes a vendor's requests to the routes, and answers all errors.

    - It first applies the changes that other replicas made before the request arrived.
    - It finds the route of a request. A path or a method without a route gets the vendor's error.
    - It refuses a request body that is too long, or that pauses for too long.
    - It answers exceptions with the handlers of the vendor's application. It logs exceptions without a
      handler, and answers them with the vendor's error. A handler for all exceptions could not do this,
      because Starlette sends its responses past the vendor's own middleware.
    - If no route has called ``identify`` before the response begins, it decides which fault the call gets.
      For this, the vendor's dialect guesses the credential. If there is no guess, only rules for all
      credentials apply.
    - It sets ``Allow`` in every response with status 405.

    FastAPI has middlewares for most of this. Together they take longer than a poll.
    """

    def __init__(
        self,
        app: FastAPI,
        operations: Mapping[str, Operation],
        dialect: Dialect,
        settings: VendorSettings,
        render: Render,
        world: World,
    ) -> None:
        self._app = app
        self._operations = operations
        self._records = world.records
        self._faults = world.faults
        self._render = render
        self._dialect = dialect
        self._settings = settings
        self._nowhere = _Limits(dialect.longest_body(settings), dialect.too_large, None, None)
        self._known = 0
        self._by_path: Mapping[str, list[_Served]] = {}
        self._by_folder: Mapping[str, list[tuple[int, _Served]]] = {}

    def _serve_all(self, routes: Sequence[BaseRoute]) -> None:
        """Find the operations of all routes. The routes of an API do not exist before its first request.

        ``_by_path`` has, for each path without parameters, the routes that match it, in their order.
        ``_by_folder`` has the routes with parameters, and their positions, by the path before the first of
        the parameters.
        """
        served = self._served(routes)
        plain = [each.route.path for each in served if not each.route.param_convertors]
        by_folder: dict[str, list[tuple[int, _Served]]] = {}
        for position, each in enumerate(served):
            begin, parameter, _ = each.route.path.partition("{")
            if parameter:
                by_folder.setdefault(begin[: begin.rindex("/") + 1], []).append((position, each))
        self._by_path = {path: [each for each in served if each.matches(path)] for path in plain}
        self._by_folder = by_folder
        self._known = len(routes)

    def _served(self, routes: Sequence[BaseRoute]) -> list[_Served]:
        dialect, settings = self._dialect, self._settings
        found = []
        for route in routes:
            if isinstance(route, APIRoute):
                operation = self._operations[route.name]
                limits = _Limits(
                    (operation.longest_body or dialect.longest_body)(settings),
                    operation.too_large or dialect.too_large,
                    operation.longest_pause_s and operation.longest_pause_s(settings),
                    operation.timed_out,
                )
                found.append(_Served(route, operation, frozenset(operation.methods), limits))
        return found

    def _at(self, path: str) -> list[_Served]:
        """Return the routes that match a path, in their order."""
        if len(self._app.routes) != self._known:
            self._serve_all([*self._app.routes])
        found = self._by_path.get(path)
        if found is not None:
            return found
        matching: list[tuple[int, _Served]] = []
        for folder, routes in self._by_folder.items():
            # Try only the routes below a folder of the path. This skips most regular expressions.
            if path.startswith(folder):
                matching += [each for each in routes if each[1].matches(path)]
        return [served for _, served in sorted(matching, key=itemgetter(0))]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        exchange = exchange_of(scope)
        path, method = scope["path"], scope["method"]
        here = self._at(path)
        # Several operations can have the same path. The method decides which of them is called.
        called = next((served for served in here if method in served.methods), None)
        if here:
            (called or here[0]).select(scope)
        answer = _Answer(exchange, self._decide, scope, send, here)
        limits = called.limits if called is not None else here[0].limits if here else self._nowhere
        refusal: VendorError | None
        if limits.longest is not None and declared_length(scope) > limits.longest:
            refusal = limits.too_large
        else:
            exchange.longest_body = limits.longest
            exchange.pause_seconds = limits.longest_pause_s or exchange.pause_seconds
            app: ASGIApp = called.route.app if called is not None else _not_allowed if here else _not_found
            refusal = await self._serve(scope, receive, answer, app)
            if exchange.is_crowded_out and not answer.has_started:
                logger.warning("%s %s is refused: too many long bodies", scope["method"], scope["path"])
                refusal = self._dialect.defect.occur()
            if exchange.is_too_large:
                refusal = limits.too_large
            exchange.longest_body = None
            if exchange.is_timed_out and not answer.has_started:
                refusal = limits.timed_out
                if refusal is None:
                    await request_timeout()(scope, receive, answer.send)
        if refusal is not None:
            response = await self._render(Request(scope, receive), refusal)
            await response(scope, receive, answer.send)
        if answer.replacement is not None:
            await answer.replacement(scope, receive, answer.emit)

    async def _serve(
        self, scope: Scope, receive: Receive, answer: _Answer, app: ASGIApp
    ) -> VendorError | None:
        """Run ``app``, and handle its exceptions.

        Return the error to send instead of the response, or None.
        """
        try:
            await self._records.catch_up()
            if self._faults.needs_bodies:
                # The length must be checked earlier, because this holds the body in memory.
                scope["state"]["call"].body = await exchange_of(scope).peek_body()
            await self._run(scope, receive, answer, app)
        except (BodyTooLarge, BodyTimedOut):
            return None  # the exchange has stored the reason
        except (ClientDisconnect, ConnectionDropped):
            raise
        except ClientLeft as error:
            raise ClientDisconnect from error
        except StoreUnavailable as error:
            logger.warning("%s %s failed, because %s", scope["method"], scope["path"], error)
            if answer.has_started:
                raise
            return self._dialect.defect.occur()
        except Exception:
            logger.exception("%s %s failed unexpectedly", scope["method"], scope["path"])
            if answer.has_started:
                raise
            return self._dialect.defect.occur()
        return None

    async def _run(self, scope: Scope, receive: Receive, answer: _Answer, app: ASGIApp) -> None:
        """Run ``app``. If it raises an exception that has a handler, send the handler's response."""
        try:
            await app(scope, receive, answer.send_if_read)
        except (BodyTooLarge, BodyTimedOut, ClientDisconnect, ClientLeft, ConnectionDropped):
            raise
        except Exception as error:
            response = None if answer.has_started else await self._handled(Request(scope, receive), error)
            if response is None:
                raise
            await response(scope, receive, answer.send_if_read)

    async def _handled(self, request: Request, error: Exception) -> Response | None:
        """Return the response of the handler for an exception, or None if there is no handler."""
        for kind in type(error).__mro__:
            handler: Any = self._app.exception_handlers.get(kind)
            if handler is not None:
                response: Response = await handler(request, error)
                return response
        return None

    async def _decide(self, scope: Scope) -> Response | None:
        """Decide which fault a call gets. Return the response to send instead of the route's, or None."""
        call = scope["state"]["call"]
        request = Request(scope)
        try:
            await call.identify(await self._dialect.guess_caller(request))
        except VendorError as error:
            return await self._render(request, error)
        except StoreUnavailable:
            return await self._render(request, self._dialect.defect.occur())
        except Intercepted:
            return Response()
        return None


@dataclass(frozen=True)
class _Limits:
    """The limits of an operation on its request body.

    ``longest`` is the largest size in bytes, and ``longest_pause_s`` the longest pause in real seconds.
    ``too_large`` and ``timed_out`` are the errors for bodies beyond these limits. If ``timed_out`` is None,
    the response is a plain status 408.
    """

    longest: int | None
    too_large: VendorError
    longest_pause_s: float | None
    timed_out: VendorError | None


@dataclass(frozen=True)
class _Served:
    """A route, and its operation with its methods and limits."""

    route: APIRoute
    operation: Operation
    methods: frozenset[str]
    limits: _Limits

    def matches(self, path: str) -> bool:
        """Return whether the route has this path."""
        return self.route.path_regex.match(path) is not None

    def select(self, scope: Scope) -> None:
        """Set the route, the operation and the parameters of the path in a request's scope."""
        scope["route"] = self.route
        scope["operation"] = self.operation
        convertors = self.route.param_convertors
        match = self.route.path_regex.match(scope["path"]) if convertors else None
        found = {} if match is None else match.groupdict()
        scope["path_params"] = {name: convertors[name].convert(text) for name, text in found.items()}


async def _not_found(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise HTTPException(HTTPStatus.NOT_FOUND)


async def _not_allowed(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)


class _Answer:
    """The sender of a response. Before the response begins, it decides which fault the call gets.

    It also sets ``Allow`` in responses with status 405 (RFC 9110, 15.5.6). The header depends on the status
    alone, because a setting can change the status of any error.
    """

    def __init__(
        self,
        exchange: Exchange,
        decide: Callable[[Scope], Awaitable[Response | None]],
        scope: Scope,
        send: Send,
        here: list[_Served],
    ) -> None:
        self._exchange = exchange
        self._decide = decide
        self._scope = scope
        self._send = send
        self._here = here
        self.replacement: Response | None = None
        self.has_started = False

    async def send(self, message: Message) -> None:
        """Send a message of the response. Send nothing if the fault has set a ``replacement``."""
        if message["type"] == "http.response.start" and not self._scope["state"]["call"].is_decided:
            self.replacement = await self._decide(self._scope)
        if self.replacement is None:
            self.has_started = True
            await self.emit(message)

    async def emit(self, message: Message) -> None:
        """Send a message, whether or not there is a ``replacement``."""
        if message["type"] == "http.response.start" and message["status"] == HTTPStatus.METHOD_NOT_ALLOWED:
            methods = sorted({method for served in self._here for method in served.methods})
            MutableHeaders(scope=message)["Allow"] = ", ".join(methods)
        await self._send(message)

    async def send_if_read(self, message: Message) -> None:
        """Send a message of a route's response.

        If the request body was too large or too slow before the response began, send nothing.
        """
        if self.has_started:
            await self._send(message)
        elif not self._exchange.is_unreadable:
            await self.send(message)
