"""Routes that are added at the first request.

Building all routes takes as long as the rest of the startup.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection

from starlette.types import ASGIApp, Receive, Scope, Send


class OnDemand:
    """A function that is called once, before its effect is first needed.

    Parameters
    ----------
    function : () -> None
        Any thread can call it.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self.is_done = False

    def run(self) -> None:
        """Call the function, unless it has been called. Wait while another thread calls it."""
        with self._lock:
            if not self.is_done:
                self._function()
                self.is_done = True


class RoutesOnDemand:
    """ASGI middleware that adds the routes of an application before its first request.

    Parameters
    ----------
    app : ASGI application
        The rest of the application.
    routes : OnDemand
        Adds the routes.
    without : collection of str
        Paths that the application answers without these routes.
    """

    def __init__(self, app: ASGIApp, routes: OnDemand, without: Collection[str] = ()) -> None:
        self._app = app
        self._routes = routes
        self._without = without

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer the request."""
        if self._routes.is_done or scope["type"] != "http" or scope["path"] in self._without:
            return self._app(scope, receive, send)
        return self._add_and_answer(scope, receive, send)

    async def _add_and_answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(self._routes.run)
        await self._app(scope, receive, send)
