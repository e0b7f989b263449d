"""Code that all APIs of MetaHuman SDK share: the rendering of errors, and warnings about fields.

The real service seems to be a FastAPI application. Therefore, the emulator answers errors that the vendor
does not document (a missing field, an unknown path) as FastAPI does.
"""

from __future__ import annotations

from collections.abc import Collection

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import FormData

from emulator.vendors.metahuman.errors import FILE_TOO_LARGE, SHARED
from emulator.vendors.metahuman.settings import MetaHumanSettings
from emulator.vendors.metahuman.wire import error_schema, missing_field, render_error, render_invalid
from emulator.web.call import Call
from emulator.web.vendor import Dialect
from emulator.world.error_catalogue import VendorError
from emulator.world.world import World

FORM_BYTES = 1024 * 1024
"""Maximum size of a form without its photo, in bytes."""


def install(app: FastAPI, _world: World, _settings: MetaHumanSettings) -> None:
    """Add the handler that answers validation errors in the format of FastAPI with Pydantic 1."""
    app.add_exception_handler(RequestValidationError, _invalid)


def warn_of_dropped(form: FormData, known: Collection[str], call: Call) -> None:
    """Add warnings to ``call`` about query parameters, and about fields that are not in ``known``."""
    call.warn_of_parameters()
    for name in dict.fromkeys(form.keys()):
        if name not in known:
            call.warn("field-dropped", f"unknown field {name}")


async def _invalid(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise TypeError(error)
    return render_invalid([missing_field(str(item["loc"][-1])) for item in error.errors()])


async def _render(_request: Request, error: VendorError) -> Response:
    return render_error(error)


DIALECT = Dialect(
    render=_render,
    schema=error_schema,
    defect=SHARED["INTERNAL_ERROR"],
    too_large=FILE_TOO_LARGE.occur(),
    longest_body=lambda settings: settings.image_bytes + FORM_BYTES,
)
