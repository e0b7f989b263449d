"""The operation that counts faces."""

from __future__ import annotations

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from emulator.face.errors import FaceError
from emulator.pipelines.options import DETECT_FACES, ImageRules
from emulator.web.call import CallDep, WorldDep
from emulator.web.vendor import Api
from emulator.world.operation import Billing, Example, Operation
from example_vendor.application import VENDOR, CallerDep
from example_vendor.errors import COUNT
from example_vendor.settings import SettingsDep
from example_vendor.wire import Body


class Counted(Body):
    """The number of faces in a picture."""

    faces: int = Field(description="Number of faces in the picture.")


async def count(
    request: Request, key: CallerDep, call: CallDep, world: WorldDep, settings: SettingsDep
) -> Response:
    """Count the faces in a picture."""
    picture = await world.degraded(await request.body(), call.picture_fault)
    try:
        found = await world.queue.run(DETECT_FACES, picture, ImageRules(frozenset({"jpeg", "png"})))
    except FaceError as error:
        raise COUNT.for_cause(error).occur() from error
    if len(found) > settings.most_faces:
        raise COUNT["crowd"].occur(count=len(found))
    await world.meter.bill(VENDOR, COUNT_FACES.name, key)
    return JSONResponse(Counted(faces=len(found)).model_dump())


COUNT_FACES = Operation(
    name="count",
    methods=("POST",),
    paths=("/example/v1/count",),
    endpoint=count,
    takes_picture=True,
    billing=Billing(),
    errors=COUNT,
    request=bytes,
    request_types=("image/jpeg", "image/png"),
    response=Counted,
    example=Example(headers={"X-Example-Key": "{key}"}),
)

api = Api("Counting", (COUNT_FACES,))
