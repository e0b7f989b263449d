"""Routes for the test faces."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Path, Query, Response
from pydantic import BaseModel, Field

from emulator.pipelines.options import DRAW_TEST_FACE, LIST_TEST_FACES
from emulator.world.world import World

Name = Annotated[str, Path(description="Name of a test face, as in `GET /_emulator/faces`.")]
Format = Annotated[Literal["jpeg", "png"], Query(description="Format of the picture.", alias="format")]


class ListedFace(BaseModel):
    """A test face: a picture of people who do not exist, with a known outcome at each API."""

    name: str = Field(description="Name of the test face.")
    shows: str = Field(description="What the picture shows.")


def faces_router(world: World) -> APIRouter:
    """Return the routes for the test faces."""
    router = APIRouter(prefix="/faces", tags=["faces"])

    async def names() -> dict[str, str]:
        # Get the names from a worker, because this process does not load the code that draws faces.
        return await world.queue.run(LIST_TEST_FACES)

    @router.get("")
    async def list_faces() -> list[ListedFace]:
        """List the test faces."""
        return [ListedFace(name=name, shows=shows) for name, shows in (await names()).items()]

    @router.get(
        "/{name}",
        response_class=Response,
        responses={
            200: {"content": {"image/jpeg": {}, "image/png": {}}},
            404: {"description": "No such face."},
        },
    )
    async def draw_face(name: Name, picture_format: Format = "jpeg") -> Response:
        """Return the picture of a test face.

        The same name always gives the same bytes. A worker draws the picture, which takes up to a second.
        """
        known = await names()
        if name not in known:
            raise HTTPException(404, f"there is no test face {name}; choose one of {', '.join(known)}")
        data = await world.queue.run(DRAW_TEST_FACE, name, picture_format)
        return Response(data, media_type=f"image/{picture_format}")

    return router
