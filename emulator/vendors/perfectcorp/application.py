"""Code that all APIs of Perfect Corp share: tasks, webhooks, units, request ids, and rendering of errors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, cast

from fastapi import FastAPI, Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.backends.stateful import DeferredState, Stateful
from emulator.tasks.job import Job
from emulator.vendors.perfectcorp.caller import AccessTokens, authorization_of, key_of, polls_limit
from emulator.vendors.perfectcorp.errors import SHARED, Layer, PerfectCorpEntry
from emulator.vendors.perfectcorp.files.errors import STORE
from emulator.vendors.perfectcorp.files.presigned import BUCKET
from emulator.vendors.perfectcorp.kinds import PRE_PROCESS, RESHAPE
from emulator.vendors.perfectcorp.settings import VENDOR, PerfectCorpSettings
from emulator.vendors.perfectcorp.webhooks import announcer_of, source_of
from emulator.vendors.perfectcorp.wire import error_schema, render_error
from emulator.web.exchange import exchange_of
from emulator.web.vendor import Dialect
from emulator.world.error_catalogue import VendorError
from emulator.world.request_ids import RequestIds
from emulator.world.world import World

if TYPE_CHECKING:
    from emulator.vendors.perfectcorp.units.ledger import Units

BODY_BYTES = 1024 * 1024
"""Maximum size of a JSON body, in bytes. Uploads have other limits."""


def install(app: FastAPI, world: World, settings: PerfectCorpSettings) -> None:
    """Register the webhooks, the units, and the jobs that perform tasks. Add the middleware."""

    # The imports in functions are not needed by the start and the first responses.
    def units() -> Units:
        from emulator.vendors.perfectcorp.units.ledger import Units  # noqa: PLC0415 - on demand, see above

        return Units(world, settings, _spending)

    def files() -> Stateful:
        from emulator.vendors.perfectcorp.files.store import Files  # noqa: PLC0415 - on demand, see above

        return Files(world)

    def jobs() -> Mapping[str, Job]:
        from emulator.vendors.perfectcorp.reshape.jobs import Engine  # noqa: PLC0415 - on demand, see above

        return Engine(world, settings, units(), announcer).jobs()

    app.state.units = units
    announcer = announcer_of(world, settings)
    world.webhooks.endpoints.register(VENDOR, source_of(announcer, settings))
    world.tasks.register({RESHAPE: jobs, PRE_PROCESS: jobs})
    app.state.polls = polls_limit(settings)
    world.add(DeferredState(units), DeferredState(files), AccessTokens())
    app.add_middleware(NumberedResponses, ids=world.request_ids)


@cache
def _spending() -> frozenset[str]:
    """Return the names of the operations that cost units."""
    from emulator.vendors.perfectcorp.reshape.operations import (  # noqa: PLC0415 - the start does not need it
        api,
    )

    return frozenset(each.name for each in api.operations if each.billing is not None)


class NumberedResponses:
    """ASGI middleware that adds an ``x-request-id`` of 18 digits to every response."""

    def __init__(self, app: ASGIApp, ids: RequestIds) -> None:
        self._app = app
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Create a request id, store it in ``request.state.number``, and add it to the response."""
        drawn = int.from_bytes(await self._ids.draw("", "perfectcorp/request", 8), "big")
        number = str(4 * 10**17 + drawn % 10**17)
        scope["state"]["number"] = number

        def add_number(headers: list[tuple[bytes, bytes]]) -> None:
            headers.append((b"x-request-id", number.encode()))

        exchange_of(scope).added += (add_number,)
        await self._app(scope, receive, send)


async def _guess_caller(request: Request) -> str | None:
    return await key_of(authorization_of(request), request.app.state.world) or None


def _as_store_error(request: Request, error: VendorError) -> VendorError:
    """Return ``error`` or, if the path is one of the object store, the corresponding error of the store."""
    layer = cast("PerfectCorpEntry", error.entry).layer
    if layer is Layer.STORE or not request.url.path.startswith(f"/{BUCKET}/"):
        return error
    if error.entry.status == 405:
        from emulator.vendors.perfectcorp.files.store import (  # noqa: PLC0415 - the start does not need it
            refuse_method,
        )

        return refuse_method(request, request.app.state.world)
    return STORE["StoreError"].occur()


async def _render(request: Request, error: VendorError) -> Response:
    return render_error(error, request.state.number)


DIALECT = Dialect(
    render=_render,
    schema=error_schema,
    defect=SHARED["InternalError"],
    too_large=SHARED["InvalidParameters"].occur(sentence="The request body is above the allowed maximum."),
    longest_body=lambda _settings: BODY_BYTES,
    unknown_path=SHARED["NotFound"],
    wrong_method=SHARED["MethodNotAllowed"],
    choose=_as_store_error,
    # Web pages of all origins may use presigned URLs, but not the API: a page that guesses a key could
    # otherwise read the pictures of this key.
    open_paths=(f"/{BUCKET}/",),
    exposed_headers=("Accept-Ranges", "Content-Range", "ETag", "x-request-id"),
    guess_caller=_guess_caller,
)
