"""Request and response models of 3D Face."""

from __future__ import annotations

import base64
from typing import Annotated, Literal

import numpy as np
from fastapi import Response
from pydantic import BaseModel, Field

from emulator.face.pose import WeakPerspective
from emulator.face.types import Matrix
from emulator.pipelines.options import View, Wavefront
from emulator.vendors.faceplusplus.wire import Base64, Body, Milliseconds, RequestId, render

MTL_NAME, TEXTURE_NAME = "face.mtl", "tex.jpg"
"""The names under which clients must save the files (3D Face, return values, note 2)."""

MILLIMETRES_PER_CM = 10.0
"""The OBJ is in millimetres: the scale of the vendor's sample, 6.7 pixels per unit, fits an average face."""

DEPTH_SQUEEZE = 11.0235
"""Factor by which the third row of the sample's matrix is smaller than the first two."""

Image = Annotated[str, Field(json_schema_extra={"contentMediaType": "image/jpeg"})]
Flag = Annotated[int, Field(json_schema_extra={"enum": [0, 1], "default": 0})]


class ThreeDFaceFields(BaseModel):
    """The documented fields of a request."""

    api_key: Annotated[str, Field(min_length=1)]
    api_secret: Annotated[str, Field(min_length=1)]
    image_file_1: Image = ""
    image_base64_1: Base64 = ""
    image_url_1: str = ""
    image_file_2: Image = ""
    image_base64_2: Base64 = ""
    image_url_2: str = ""
    image_file_3: Image = ""
    image_base64_3: Base64 = ""
    image_url_3: str = ""
    texture: Flag = 0
    mtl: Flag = 0


class ThreeDFaceResult(Body):
    """A successful response. Its members are in the order of the vendor's sample."""

    request_id: RequestId
    mtl_file: Base64 | None = None
    obj_file: Base64
    texture_img: Base64 | None = None
    time_used: Milliseconds
    transfer_matrix: Annotated[
        list[Annotated[list[int | float], Field(min_length=16, max_length=16)]],
        Field(min_length=1, max_length=3),
    ]


def transfer_matrix(view: View) -> Matrix:
    """Return the (4, 4) matrix that maps an OBJ vertex into the view of one image.

    A vertex p in millimetres maps to ``(x, y, z, 1) = M (p, 1)``. Its pixel position is
    ``u = width / 2 + x``, ``v = height / 2 - y``, from the top left corner of the picture, with pixel
    centres at half integers. z grows towards the camera and only gives the order of depth.

    Convention
    ----------
    Weak perspective, derived from the vendor's sample: the first two rows are s R, the third is
    s R / 11.0235 without a translation; target axes x right, y up, origin at the picture's centre.
    """
    camera: WeakPerspective = view.camera
    scale = camera.scale / MILLIMETRES_PER_CM
    matrix = np.eye(4)
    matrix[:3, :3] = scale * camera.rotation
    matrix[2, :3] /= DEPTH_SQUEEZE
    matrix[0, 3] = camera.translation[0] + 0.5 - view.width / 2
    matrix[1, 3] = view.height / 2 - camera.translation[1] - 0.5
    return matrix


def float32_number(value: float) -> int | float:
    """Return ``value`` in the vendor's number format: the shortest float32, without a fraction if it is 0."""
    shortest = float(str(np.float32(value)))
    return int(shortest) if shortest.is_integer() else shortest


def render_success(
    head: Wavefront,
    *,
    request_id: str,
    texture: bool,
    mtl: bool,
    time_used_ms: int,
    absent_members: Literal["absent", "null", "empty"] = "absent",
) -> Response:
    """Return a successful response."""
    result = ThreeDFaceResult(
        request_id=request_id,
        mtl_file=_base64(head.mtl.encode()) if mtl else None,
        obj_file=_base64(head.obj.encode()),
        texture_img=_base64(head.texture) if texture else None,
        time_used=time_used_ms,
        transfer_matrix=[
            [float32_number(number) for number in transfer_matrix(view).ravel()] for view in head.views
        ],
    )
    body = result.model_dump(exclude_none=absent_members == "absent")
    if absent_members == "empty":
        body = {name: "" if value is None else value for name, value in body.items()}
    return render(200, body)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
