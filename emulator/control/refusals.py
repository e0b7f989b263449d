"""How the control API says that it does not do what it was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from emulator.web.vendor import Vendor
from emulator.world.faults.engine import UnknownFault
from emulator.world.lifetimes import LifetimeRefused
from emulator.world.text import printable


def answer_refusals(app: FastAPI, vendors: Sequence[Vendor]) -> None:
    """Have the control API say why it refuses a call."""

    @app.exception_handler(UnknownFault)
    @app.exception_handler(LifetimeRefused)
    async def not_there(_request: Request, error: Exception) -> JSONResponse:
        return _refused(str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # What was sent is not repeated: it may be what no answer can say (NaN, bytes of no text).
        detail = [
            {"loc": [_printable(step) for step in each["loc"]], "msg": each["msg"], "type": each["type"]}
            for each in error.errors()
        ]
        return _refused("; ".join(_reason(each, request) for each in error.errors()), detail)

    @app.exception_handler(HTTPException)
    async def unknown_path(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404 and error.detail == "Not Found":
            return answer_unknown_path(request, vendors)
        if error.status_code == 422:
            return _refused(error.detail)
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def _refused(reason: str, detail: list[dict[str, Any]] | None = None) -> JSONResponse:
    """Return a refusal in the form that FastAPI documents, and with the ``error`` of all the others."""
    detail = detail or [{"loc": ["body"], "msg": reason, "type": "value_error"}]
    return JSONResponse(
        {
            "error": printable(reason),
            "detail": [{**each, "msg": printable(each["msg"])} for each in detail],
        },
        422,
    )


def _reason(found: Mapping[str, Any], request: Request) -> str:
    """Return what does not fit, and where."""
    if found["type"] == "json_invalid":
        return f"the body is no JSON: {found['ctx']['error']}"
    if found["type"] == "model_attributes_type" and "json" not in request.headers.get("content-type", ""):
        return "the body was not sent as JSON: say `Content-Type: application/json`"
    place = ".".join(str(part) for part in found["loc"][1:])
    return f"{place}: {found['msg']}" if place else str(found["msg"])


def _printable(step: str | int) -> str | int:
    return printable(step) if isinstance(step, str) else step


def answer_unknown_path(request: Request, vendors: Sequence[Vendor]) -> JSONResponse:
    """Return a 404 that says which paths there are."""
    return JSONResponse(
        {
            "error": f"nothing is served at {request.url.path}",
            "vendors": {vendor.name: list(vendor.prefixes) for vendor in vendors},
            "control": "/_emulator/openapi.json",
        },
        status_code=404,
    )
