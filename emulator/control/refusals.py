"""Error responses of the control API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.backends.unavailable import StoreUnavailable
from emulator.web.on_demand import OnDemand, RoutesOnDemand
from emulator.web.vendor import Vendor
from emulator.world.faults.engine import UnknownFault
from emulator.world.lifetimes import LifetimeRefused
from emulator.world.text import printable


class ValidationError(BaseModel):
    """A problem in a request."""

    loc: list[str | int] = Field(description='Place in the request, such as `["body", "seconds"]`.')
    msg: str = Field(description="What is wrong at this place.")
    type: str = Field(description="Identifier of the kind of problem, such as `missing`.")


class HTTPValidationError(BaseModel):
    """A response with status 422."""

    error: str = Field(description="All problems as one text.")
    detail: list[ValidationError] = Field(description="Each problem with its place.")


class ControlApplication(FastAPI):
    """The FastAPI application of the control API, with its own 422 responses in its OpenAPI document.

    Attributes
    ----------
    routes_later : OnDemand
        Adds the routes that are not added at startup.
    dispatch : ASGI application
        Receives all requests, and passes requests to the control API on to ``answer``.
    catch_up : async () -> None
        Applies the changes of other replicas to this process. Called before every request, except those to
        ``always_open`` paths.
    """

    routes_later: OnDemand
    dispatch: ASGIApp
    catch_up: Callable[[], Awaitable[None]]
    always_open: Collection[str] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        await self.dispatch(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to the control API."""
        if scope["type"] == "http" and scope["path"] not in self.always_open:
            try:
                await self.catch_up()
            except StoreUnavailable as error:
                await unavailable(error)(scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    def add_routes_later(self, add_routes: Callable[[], None], without: Collection[str]) -> None:
        """Make the first request to a path that is not in ``without`` call ``add_routes`` first."""
        self.routes_later = OnDemand(add_routes)
        self.add_middleware(RoutesOnDemand, routes=self.routes_later, without=without)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document.

        The models of 422 responses in this module replace FastAPI's models of the same names.
        """
        self.routes_later.run()
        document = super().openapi()
        _, schemas = models_json_schema(
            [(HTTPValidationError, "serialization")], ref_template="#/components/schemas/{model}"
        )
        document["components"]["schemas"].update(schemas["$defs"])
        for path in document["paths"].values():
            for operation in path.values():
                _describe_responses(operation)
        return document


def _describe_responses(operation: dict[str, Any]) -> None:
    """Correct the schemas that FastAPI writes for the responses of an operation.

    FastAPI describes streams of events with ``itemSchema``, which OpenAPI 3.1 does not have. The
    schemas of lists and objects also have titles that only repeat the name of the function, such as
    ``Response List Tasks``.
    """
    for response in operation["responses"].values():
        for media in response.get("content", {}).values():
            media.get("schema", {}).pop("title", None)
            if media.pop("itemSchema", None) is not None:
                media["schema"] = {"type": "string", "description": "Server-sent events."}


def answer_refusals(app: FastAPI, vendors: Sequence[Vendor]) -> None:
    """Register the exception handlers of the control API."""

    @app.exception_handler(UnknownFault)
    @app.exception_handler(LifetimeRefused)
    async def not_there(_request: Request, error: Exception) -> JSONResponse:
        return refused(str(error))

    @app.exception_handler(StoreUnavailable)
    async def not_now(_request: Request, error: Exception) -> JSONResponse:
        return unavailable(error)

    @app.exception_handler(Exception)
    async def defect(_request: Request, _error: Exception) -> JSONResponse:
        return JSONResponse({"error": "the emulator failed unexpectedly; its log has the traceback"}, 500)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # Leave out the input, because JSON cannot represent some inputs (NaN, bytes that are not text).
        detail = [
            {"loc": [_printable(step) for step in each["loc"]], "msg": each["msg"], "type": each["type"]}
            for each in error.errors()
        ]
        return refused("; ".join(_reason(each, request) for each in error.errors()), detail)

    @app.exception_handler(HTTPException)
    async def unknown_path(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404 and error.detail == "Not Found":
            return answer_unknown_path(request, vendors)
        if error.status_code == 422:
            return refused(error.detail)
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def unavailable(error: Exception) -> JSONResponse:
    """Return a 503 with the reason why the database or the blob store cannot be used."""
    return JSONResponse({"error": str(error)}, 503)


def refused(reason: str, detail: list[dict[str, Any]] | None = None) -> JSONResponse:
    """Return a 422 with FastAPI's ``detail``, and with ``error``, which all errors of this API have."""
    detail = detail or [{"loc": ["body"], "msg": reason, "type": "value_error"}]
    return JSONResponse(
        {
            "error": printable(reason),
            "detail": [{**each, "msg": printable(each["msg"])} for each in detail],
        },
        422,
    )


def _reason(found: Mapping[str, Any], request: Request) -> str:
    """Return a validation error as one sentence, with its place in the request."""
    if found["type"] == "json_invalid":
        return f"the body is not valid JSON: {found['ctx']['error']}"
    if found["type"] == "model_attributes_type" and "json" not in request.headers.get("content-type", ""):
        return "the body was not sent as JSON; add the header `Content-Type: application/json`"
    place = ".".join(str(part) for part in found["loc"][1:])
    return f"{place}: {found['msg']}" if place else str(found["msg"])


def _printable(step: str | int) -> str | int:
    return printable(step) if isinstance(step, str) else step


def answer_unknown_path(request: Request, vendors: Sequence[Vendor]) -> JSONResponse:
    """Return a 404 that lists the paths that exist."""
    return JSONResponse(
        {
            "error": f"nothing is served at {request.url.path}; see `vendors` and `control` for the paths",
            "vendors": {vendor.name: list(vendor.prefixes) for vendor in vendors},
            "control": "/_emulator/openapi.json",
        },
        status_code=404,
    )
