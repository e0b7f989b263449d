"""``Edge``, the middleware that answers requests in a vendor's format if no route answers them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Request, Response
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.backends.queue import ClientLeft
from emulator.web.call import Intercepted
from emulator.web.exchange import (
    BodyTimedOut,
    BodyTooLarge,
    ConnectionDropped,
    Exchange,
    exchange_of,
    request_timeout,
)
from emulator.web.vendor import Vendor, VendorSettings
from emulator.world.error_catalogue import VendorError

logger = logging.getLogger(__name__)

Render = Callable[[Request, VendorError], Awaitable[Response]]
"""Renders an error in the vendor's format."""


class Edge:
    """ASGI middleware that answers requests in the vendor's format if no route answers them.

    - It refuses a request body that is too long, or that pauses for too long.
    - It logs unexpected exceptions, and answers them with an error. An exception handler would bypass the
      vendor's own middleware.
    - If no route has called ``identify`` before the response begins, it decides which fault the call gets.
      For this, the vendor's dialect guesses the credential. If there is no guess, only rules for all
      credentials apply.
    - It sets ``Allow`` in every response with status 405.
    """

    def __init__(self, app: ASGIApp, vendor: Vendor, settings: VendorSettings, render: Render) -> None:
        self._app = app
        self._render = render
        self._dialect = vendor.dialect
        self._unknown = _Served(
            (), vendor.dialect.longest_body(settings), vendor.dialect.too_large, None, None
        )
        self._served = [
            (
                compile_path(path)[0],
                _Served(
                    operation.methods,
                    (operation.longest_body or vendor.dialect.longest_body)(settings),
                    operation.too_large or vendor.dialect.too_large,
                    operation.longest_pause_s and operation.longest_pause_s(settings),
                    operation.timed_out,
                ),
            )
            for operation in vendor.operations.values()
            for path in operation.paths
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        here = [served for path, served in self._served if path.match(scope["path"])]
        send = _naming_methods(here, send)
        answer = _Answer(exchange, self._decide, scope, send)
        # Several operations can have the same path. The method decides which operation's limits apply.
        ours = (served for served in here if scope["method"] in served.methods)
        limit = next(ours, here[0] if here else self._unknown)
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if limit.longest is not None and declared.isdigit() and int(declared) > limit.longest:
            refusal: VendorError | None = limit.too_large
        else:
            exchange.longest_body = limit.longest
            exchange.pause_seconds = limit.longest_pause_s or exchange.pause_seconds
            refusal = await self._serve(scope, receive, answer)
            if exchange.is_too_large:
                refusal = limit.too_large
            exchange.longest_body = None
            if exchange.is_timed_out and not answer.has_started:
                refusal = limit.timed_out
                if refusal is None:
                    await request_timeout()(scope, receive, answer.send)
        if refusal is not None:
            response = await self._render(Request(scope, receive), refusal)
            await response(scope, receive, answer.send)
        if answer.replacement is not None:
            await answer.replacement(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, answer: _Answer) -> VendorError | None:
        """Run the route. Return the error to send instead of the route's response, or None."""
        try:
            await self._app(scope, receive, answer.send_if_read)
        except (BodyTooLarge, BodyTimedOut):
            return None  # the caller reads from the exchange which of the two it was
        except (ClientDisconnect, ConnectionDropped):
            raise
        except ClientLeft as error:
            raise ClientDisconnect from error
        except Exception:
            logger.exception("%s %s failed unexpectedly", scope["method"], scope["path"])
            if answer.has_started:
                raise
            return self._dialect.defect.occur()
        return None

    async def _decide(self, scope: Scope) -> Response | None:
        """Decide which fault a call gets. Return the response to send instead of the route's, or None."""
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


@dataclass(frozen=True)
class _Served:
    """The methods of an operation, and the limits on its request body.

    ``longest`` is the largest size in bytes, and ``longest_pause_s`` the longest pause in real seconds.
    ``too_large`` and ``timed_out`` are the errors for bodies beyond these limits. If ``timed_out`` is None,
    the response is a plain status 408.
    """

    methods: tuple[str, ...]
    longest: int | None
    too_large: VendorError
    longest_pause_s: float | None
    timed_out: VendorError | None


def _naming_methods(here: list[_Served], send: Send) -> Send:
    """Return a ``send`` that sets ``Allow`` in responses with status 405 (RFC 9110, 15.5.6).

    The header depends on the status alone, because a setting can change the status of any error. Starlette's
    own header is not used: it has the methods of only one route, in an order that differs between processes.
    """

    async def send_naming_methods(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == HTTPStatus.METHOD_NOT_ALLOWED:
            methods = sorted({method for served in here for method in served.methods})
            MutableHeaders(scope=message)["Allow"] = ", ".join(methods)
        await send(message)

    return send_naming_methods


class _Answer:
    """The sender of a response. Before the response begins, it decides which fault the call gets."""

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
        """Send a message of the response. Send nothing if the fault has set a ``replacement``."""
        if message["type"] == "http.response.start":
            self.replacement = await self._decide(self._scope)
        if self.replacement is None:
            self.has_started = True
            await self._send(message)

    async def send_if_read(self, message: Message) -> None:
        """Send a message of a route's response.

        If the request body was too large or too slow before the response began, send nothing.
        """
        if self.has_started or not (self._exchange.is_too_large or self._exchange.is_timed_out):
            await self.send(message)
