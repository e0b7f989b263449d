"""What all APIs of MetaHuman SDK stand on.

The service is a FastAPI application itself, as far as its error answers tell: what is not documented (a
missing field, an unknown path) is answered as FastAPI answers.
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
"""What a form may have beside its photo."""


def install(app: FastAPI, _world: World, _settings: MetaHumanSettings) -> None:
    """Word what FastAPI refuses as its former versions did."""
    app.add_exception_handler(RequestValidationError, _invalid)


def warn_of_dropped(form: FormData, known: Collection[str], call: Call) -> None:
    """Warn of fields that are not ``known``, and of query parameters, since there are none."""
    call.warn_of_parameters()
    for name in dict.fromkeys(form.keys()):
        if name not in known:
            call.warn("field-dropped", f"there is no field {name}")


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
