"""The pipelines that every server and worker uses, whichever vendors are called.

They are apart from the others in `emulator.pipelines.options`, which the start does not need.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from emulator.backends.queue import Pipeline
from emulator.face.errors import ImageUndecodable


class PictureFault(BaseModel):
    """Changes to a picture, applied in the order of the fields. By default, nothing is changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    drop_exif: bool = Field(default=False, description="Remove all metadata, including the orientation.")
    rotate_deg: Literal[0, 90, 180, 270] = Field(
        default=0, description="Rotate the pixels clockwise without changing the orientation tag."
    )
    swap_channels: bool = Field(
        default=False, description="Swap red and blue, like a client that mixes up RGB and BGR."
    )
    shrink: float = Field(default=1.0, gt=0, le=1, description="Scale width and height by this factor.")
    blur: float = Field(
        default=0.0, ge=0, le=256, description="Standard deviation of a Gaussian blur, in pixels."
    )
    truncate: float = Field(default=1.0, ge=0, le=1, description="Fraction of the file's bytes to keep.")


WARM_UP: Pipeline[[], None] = Pipeline("emulator.pipelines.warm_up.warm_up")
DEGRADE: Pipeline[[bytes, PictureFault, str | None], bytes] = Pipeline(
    "emulator.pipelines.degrade.degrade", ImageUndecodable
)
