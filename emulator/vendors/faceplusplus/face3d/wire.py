"""Request and response models of 3D Face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import Response
from pydantic import Field

from emulator.pipelines.options import View, Wavefront
from emulator.vendors.faceplusplus.wire import (
    Base64,
    Blob,
    Body,
    Flag,
    KeyFields,
    Milliseconds,
    RequestId,
    render_spaced,
)

if TYPE_CHECKING:
    from emulator.face.pose import WeakPerspective
    from emulator.face.types import Matrix

MTL_NAME, TEXTURE_NAME = "face.mtl", "tex.jpg"
"""Names of the material file and the texture. The mesh refers to the material file, and the material file
refers to the texture (3D Face page, return values, note 2)."""

MILLIMETRES_PER_CM = 10.0
"""The unit of the OBJ is a millimetre. This is a guess: one unit is 6.7 pixels in the vendor's sample, so a
millimetre gives the face a plausible size."""

DEPTH_DIVISOR = 11.0235
"""Divisor of the third row of the matrix, from the vendor's sample."""

Image = Annotated[str, Field(json_schema_extra={"contentMediaType": "image/jpeg"})]


class ThreeDFaceFields(KeyFields):
    """The documented fields of a request."""

    image_file_1: Image = Field(
        default="",
        description="First photo, from the front: a JPEG of one face, at most 2 MiB, sides of 200 to "
        "4096 pixels.",
    )
    image_base64_1: Base64 = Field(
        default="", description="First photo as base64 text. Ignored if `image_file_1` is sent."
    )
    image_url_1: str = Field(
        default="",
        description="URL of the first photo. Ignored if `image_file_1` or `image_base64_1` is sent.",
    )
    image_file_2: Image = Field(
        default="",
        description="Second photo, preferably of the left side of the face: a JPEG with the same limits. The "
        "vendor does not say whether left is the person's left.",
    )
    image_base64_2: Base64 = Field(
        default="", description="Second photo as base64 text. Ignored if `image_file_2` is sent."
    )
    image_url_2: str = Field(
        default="",
        description="URL of the second photo. Ignored if `image_file_2` or `image_base64_2` is sent.",
    )
    image_file_3: Image = Field(
        default="",
        description="Third photo, preferably of the right side of the face: a JPEG with the same limits. The "
        "vendor does not say whether right is the person's right.",
    )
    image_base64_3: Base64 = Field(
        default="", description="Third photo as base64 text. Ignored if `image_file_3` is sent."
    )
    image_url_3: str = Field(
        default="",
        description="URL of the third photo. Ignored if `image_file_3` or `image_base64_3` is sent.",
    )
    texture: Flag = Field(default=0, description="`1` to get the texture in `texture_img`, `0` to omit it.")
    mtl: Flag = Field(
        default=0,
        description="`1` to get the material file in `mtl_file`, `0` to omit it.",
    )


class ThreeDFaceResult(Body):
    """A successful response. Its members are in the order of the vendor's sample."""

    request_id: RequestId = Field(description="Id of the request: Unix time in seconds, a comma and a UUID.")
    mtl_file: Blob | None = Field(
        default=None, description="Material file `face.mtl` in base64, if `mtl` is 1."
    )
    obj_file: Blob = Field(description="Mesh `face.obj` in base64. Coordinates are in millimetres.")
    texture_img: Blob | None = Field(
        default=None, description="Texture `tex.jpg`, a JPEG in base64, if `texture` is 1."
    )
    time_used: Milliseconds = Field(description="Time that the request took, in milliseconds.")
    transfer_matrix: Annotated[
        list[Annotated[list[int | float], Field(min_length=16, max_length=16)]],
        Field(min_length=1, max_length=3),
    ] = Field(
        description="One 4 by 4 matrix for each photo, row by row. It maps a vertex to its pixel. The origin "
        "of the pixel coordinates is the centre of the photo, with y up."
    )


def transfer_matrix(view: View) -> Matrix:
    """Return the (4, 4) matrix M that maps a vertex of the OBJ to its pixel in one picture.

    A vertex p in millimetres maps to ``(x, y, z, 1) = M (p, 1)``. x and y are in pixels from the centre of
    the picture, x to the right and y up. Counted from the top left corner, the position of the pixel is
    ``u = width / 2 + x`` and ``v = height / 2 - y``, where the centre of the first pixel is at (0.5, 0.5). A
    point with a larger z is closer to the camera; z has no unit.

    The convention comes from the vendor's sample: a weak perspective with scale s and rotation R. Rows 1 and
    2 of M are rows 1 and 2 of s R, with a translation in the last column. Row 3 of M is row 3 of s R divided
    by 11.0235, without a translation.
    """
    import numpy as np  # noqa: PLC0415 - the server starts without numpy

    camera: WeakPerspective = view.camera
    scale = camera.scale / MILLIMETRES_PER_CM
    matrix = np.eye(4)
    matrix[:3, :3] = scale * camera.rotation
    matrix[2, :3] /= DEPTH_DIVISOR
    matrix[0, 3] = camera.translation[0] + 0.5 - view.width / 2
    matrix[1, 3] = view.height / 2 - camera.translation[1] - 0.5
    return matrix


def float32_number(value: float) -> int | float:
    """Return ``value`` in float32 precision, with the fewest digits. A whole number becomes an int."""
    import numpy as np  # noqa: PLC0415 - the server starts without numpy

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
        mtl_file=head.mtl.encode() if mtl else None,
        obj_file=head.obj.encode(),
        texture_img=head.texture if texture else None,
        time_used=time_used_ms,
        transfer_matrix=[
            [float32_number(number) for number in transfer_matrix(view).ravel()] for view in head.views
        ],
    )
    body = result.model_dump(exclude_none=absent_members == "absent")
    if absent_members == "empty":
        body = {name: "" if value is None else value for name, value in body.items()}
    return render_spaced(body)
