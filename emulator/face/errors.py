"""What the face core and the pipelines can refuse, as errors that carry data.

::

    FaceError
    ├── ImageError
    │   ├── ImageUndecodable(reason)
    │   ├── ImageFormatUnsupported(found, accepted)
    │   ├── ImageEmpty()
    │   ├── ImageTooLarge(width, height, limit)
    │   └── ImageTooSmall(width, height, limit)
    ├── NoFaceFound()
    ├── SeveralFacesFound(count)
    ├── FaceIndexOutOfRange(index, count)
    ├── FaceTooSmall(fraction, limit)
    ├── FaceAngleTooLarge(angle_deg, limit_deg)
    └── RefusedImage(position, reason)

They know no HTTP status and no vendor's words: each vendor maps them in its own table.
Arguments are positional and handed to ``Exception``, so that an error raised in a worker
process arrives whole in the server's.
"""

from __future__ import annotations


class FaceError(Exception):
    """The root of everything that the face core refuses."""


class ImageError(FaceError):
    """The bytes are no picture that can be worked on."""


class ImageUndecodable(ImageError):
    """The bytes are damaged, or not a picture at all."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the image cannot be decoded: {self.reason}"


class ImageFormatUnsupported(ImageError):
    """The bytes are a picture, in a format that the caller did not accept."""

    def __init__(self, found: str, accepted: tuple[str, ...]) -> None:
        super().__init__(found, accepted)
        self.found = found
        self.accepted = accepted

    def __str__(self) -> str:
        return f"the image is {self.found}, accepted are {', '.join(self.accepted)}"


class ImageEmpty(ImageError):
    """There are no bytes."""

    def __str__(self) -> str:
        return "the image has no bytes"


class ImageTooLarge(ImageError):
    """A side is longer than the limit (pixels)."""

    def __init__(self, width: int, height: int, limit: int) -> None:
        super().__init__(width, height, limit)
        self.width = width
        self.height = height
        self.limit = limit

    def __str__(self) -> str:
        return f"the image is {self.width} x {self.height}, the longest side allowed is {self.limit}"


class ImageTooSmall(ImageError):
    """A side is shorter than the limit (pixels)."""

    def __init__(self, width: int, height: int, limit: int) -> None:
        super().__init__(width, height, limit)
        self.width = width
        self.height = height
        self.limit = limit

    def __str__(self) -> str:
        return f"the image is {self.width} x {self.height}, the shortest side allowed is {self.limit}"


class NoFaceFound(FaceError):
    """No face in the image."""

    def __str__(self) -> str:
        return "no face was found in the image"


class SeveralFacesFound(FaceError):
    """More than one face where the caller wants exactly one."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count

    def __str__(self) -> str:
        return f"{self.count} faces were found where one is wanted"


class FaceIndexOutOfRange(FaceError):
    """The caller chose a face that is not there."""

    def __init__(self, index: int, count: int) -> None:
        super().__init__(index, count)
        self.index = index
        self.count = count

    def __str__(self) -> str:
        return f"face {self.index} was asked for, and there are {self.count}"


class FaceTooSmall(FaceError):
    """The face fills too little of the image's width or height."""

    def __init__(self, fraction: float, limit: float) -> None:
        super().__init__(fraction, limit)
        self.fraction = fraction
        self.limit = limit

    def __str__(self) -> str:
        return f"the face fills {self.fraction:.1%} of the image, at least {self.limit:.1%} is needed"


class FaceAngleTooLarge(FaceError):
    """The head is turned too far: the largest of yaw, pitch and roll."""

    def __init__(self, angle_deg: float, limit_deg: float) -> None:
        super().__init__(angle_deg, limit_deg)
        self.angle_deg = angle_deg
        self.limit_deg = limit_deg

    def __str__(self) -> str:
        return (
            f"the head is turned by {self.angle_deg:.0f} degrees, less than {self.limit_deg:.0f} are needed"
        )


class RefusedImage(FaceError):
    """One of several images was refused: the one at ``position``, for ``reason``."""

    def __init__(self, position: int, reason: FaceError) -> None:
        super().__init__(position, reason)
        self.position = position
        self.reason = reason

    def __str__(self) -> str:
        return f"image {self.position}: {self.reason}"
