"""What all APIs of Example Faces share: keys, tasks, webhooks and the rendering of errors."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response

from emulator.web.call import CallDep, WorldDep
from emulator.web.vendor import Dialect
from emulator.world.credentials import CredentialRefused
from emulator.world.error_catalogue import VendorError
from emulator.world.world import World
from example_vendor.crop.jobs import CROP_KIND, CropJobs
from example_vendor.errors import SHARED
from example_vendor.settings import ExampleSettings
from example_vendor.webhooks import announcer_of, source_of
from example_vendor.wire import error_schema, render_error

VENDOR = "example_vendor"


def install(_app: FastAPI, world: World, settings: ExampleSettings) -> None:
    """Register the functions that perform crops, and the webhooks."""
    announcer = announcer_of(world)
    world.webhooks.endpoints.register(VENDOR, source_of(announcer))
    world.tasks.register({CROP_KIND: CropJobs(world, settings, announcer).job()})


async def _render(_request: Request, error: VendorError) -> Response:
    return render_error(error)


async def _guess_caller(request: Request) -> str | None:
    return request.headers.get("x-example-key")


async def _caller(request: Request, call: CallDep, world: WorldDep) -> str:
    key = request.headers.get("x-example-key", "")
    await call.identify(key or None)
    try:
        await world.credentials.check(key)
    except CredentialRefused as error:
        raise SHARED.for_cause(error).occur() from error
    return key


CallerDep = Annotated[str, Depends(_caller)]
"""The checked key of the caller."""

DIALECT = Dialect(
    render=_render,
    schema=error_schema,
    defect=SHARED["defect"],
    too_large=SHARED["too_large"].occur(),
    longest_body=lambda settings: settings.picture_bytes,
    unknown_path=SHARED["no_such_path"],
    guess_caller=_guess_caller,
)
