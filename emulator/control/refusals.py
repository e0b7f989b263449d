"""How the control API says that it does not do what it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from emulator.control.routes import answer_unknown_path
from emulator.web.faults import UnknownFault
from emulator.web.text import printable
from emulator.web.vendor import Vendor


def answer_refusals(app: FastAPI, vendors: Sequence[Vendor]) -> None:
    """Have the control API say why it refuses a call."""

    @app.exception_handler(UnknownFault)
    async def unknown_fault(_request: Request, error: UnknownFault) -> JSONResponse:
        return _refused(str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        # What was sent is not repeated: it may be what no answer can say (NaN, bytes of no text).
        detail = [
            {"loc": [_printable(step) for step in each["loc"]], "msg": each["msg"], "type": each["type"]}
            for each in error.errors()
        ]
        reasons = [": ".join([*_place(each["loc"]), each["msg"]]) for each in detail]
        return _refused("; ".join(reasons), detail)

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


def _place(loc: Sequence[str | int]) -> list[str]:
    """Return where in a body something is wrong; nothing if it is all of it."""
    return [".".join(map(str, loc[1:]))] if loc[1:] else []


def _printable(step: str | int) -> str | int:
    return printable(step) if isinstance(step, str) else step
