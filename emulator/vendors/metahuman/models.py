"""Responses with a 3D model."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic import Field

from emulator.vendors.metahuman.settings import MetaHumanSettings
from emulator.vendors.metahuman.static.operations import FOLDER, unique_name
from emulator.vendors.metahuman.static.store import put_file
from emulator.vendors.metahuman.wire import Body
from emulator.world.operation import Answer
from emulator.world.world import World

GLB: Final = "model/gltf-binary"


class Model(Body):
    """A 3D model."""

    modelUrl: Annotated[str, Field(pattern="^/static/.+\\.glb$")] = Field(  # noqa: N815 - in the vendor's style
        description="Path of the GLB file. Append the path to the base URL."
    )


class ModelResult(Body):
    """The response if the setting ``model_response`` is ``url``."""

    result: Model = Field(description="The model.")


MODEL_ANSWER: Final = {
    200: Answer("The GLB file or, if the setting `model_response` is `url`, its path.", ModelResult)
}
"""The description of the response for OpenAPI."""


async def render_model(
    model: bytes,
    world: World,
    settings: MetaHumanSettings,
    credential: str,
    *,
    upload_name: str | None,
    ending: str,
) -> Response:
    """Return a GLB file or, if the setting ``model_response`` is ``url``, store it and return its path.

    The stored file is named after the upload, with ``ending``.
    """
    if settings.model_response == "glb":
        return Response(model, media_type=GLB)
    async with world.creations.of(credential):
        number = await world.ids.draw(credential, f"metahuman/{ending}", 8)
        name = unique_name(upload_name, number, ending)
        await put_file(world, name, model, credential)
    return JSONResponse(ModelResult(result=Model(modelUrl=f"{FOLDER}/{name}")).model_dump())
