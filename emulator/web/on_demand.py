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
    part_at : (path) -> OnDemand or None
        Returns the function that adds the routes for a path, if these are not all routes.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: OnDemand,
        without: Collection[str] = (),
        part_at: Callable[[str], OnDemand | None] = lambda _path: None,
    ) -> None:
        self._app = app
        self._routes = routes
        self._without = without
        self._part_at = part_at

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer the request."""
        if self._routes.is_done or scope["type"] != "http" or scope["path"] in self._without:
            return self._app(scope, receive, send)
        wanted = self._part_at(scope["path"]) or self._routes
        if wanted.is_done:
            return self._app(scope, receive, send)
        return self._add_and_answer(wanted, scope, receive, send)

    async def _add_and_answer(self, wanted: OnDemand, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(wanted.run)
        await self._app(scope, receive, send)
