"""The exceptions of the face core and of the pipelines that use it.

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
    ├── NotGlb()
    ├── GlbUnreadable(reason)
    └── RefusedImage(position, reason)

The exceptions contain no HTTP status and no vendor-specific text. The error catalogue of a vendor maps them
to the vendor's own errors. All arguments are positional and are passed to ``Exception``, so that a worker
process can pickle an exception and send it to the server.
"""

from __future__ import annotations


class FaceError(Exception):
    """Base class of all errors of the face core."""


class ImageError(FaceError):
    """Base class of the errors about an input image."""


class ImageUndecodable(ImageError):
    """The bytes are damaged, or are not a picture."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the image cannot be decoded: {self.reason}"


class ImageFormatUnsupported(ImageError):
    """The picture has a format that the caller does not accept."""

    def __init__(self, found: str, accepted: tuple[str, ...]) -> None:
        super().__init__(found, accepted)
        self.found = found
        self.accepted = accepted

    def __str__(self) -> str:
        return f"the image format is {self.found}, but only these are accepted: {', '.join(self.accepted)}"


class ImageEmpty(ImageError):
    """The image has no bytes."""

    def __str__(self) -> str:
        return "the image has no bytes"


class ImageTooLarge(ImageError):
    """A side is longer than ``limit`` pixels, or the area is larger than ``limit`` x ``limit`` pixels."""

    def __init__(self, width: int, height: int, limit: int) -> None:
        super().__init__(width, height, limit)
        self.width = width
        self.height = height
        self.limit = limit

    def __str__(self) -> str:
        return f"the image is {self.width} x {self.height}, but the limit is {self.limit} x {self.limit}"


class ImageTooSmall(ImageError):
    """A side is shorter than ``limit`` pixels."""

    def __init__(self, width: int, height: int, limit: int) -> None:
        super().__init__(width, height, limit)
        self.width = width
        self.height = height
        self.limit = limit

    def __str__(self) -> str:
        return f"the image is {self.width} x {self.height}, but the shortest allowed side is {self.limit}"


class NoFaceFound(FaceError):
    """The image shows no face."""

    def __str__(self) -> str:
        return "no face was found in the image"


class SeveralFacesFound(FaceError):
    """The image shows several faces, but the caller wants exactly one."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count

    def __str__(self) -> str:
        return f"{self.count} faces were found, but exactly one is expected"


class FaceIndexOutOfRange(FaceError):
    """The caller chose a face that does not exist."""

    def __init__(self, index: int, count: int) -> None:
        super().__init__(index, count)
        self.index = index
        self.count = count

    def __str__(self) -> str:
        return f"there is no face {self.index}: the number of faces is {self.count}"


class FaceTooSmall(FaceError):
    """The face fills too little of the image: only ``fraction`` of the image's width or height."""

    def __init__(self, fraction: float, limit: float) -> None:
        super().__init__(fraction, limit)
        self.fraction = fraction
        self.limit = limit

    def __str__(self) -> str:
        return f"the face fills {self.fraction:.1%} of the image, but more than {self.limit:.1%} is required"


class FaceAngleTooLarge(FaceError):
    """The head is turned too far: ``angle_deg`` is the largest magnitude of yaw, pitch and roll."""

    def __init__(self, angle_deg: float, limit_deg: float) -> None:
        super().__init__(angle_deg, limit_deg)
        self.angle_deg = angle_deg
        self.limit_deg = limit_deg

    def __str__(self) -> str:
        return f"the head is turned by {self.angle_deg:.0f} degrees, but the limit is {self.limit_deg:.0f}"


class RefusedImage(FaceError):
    """One of several images is rejected: the image at ``position``, counted from 0, because of ``reason``."""

    def __init__(self, position: int, reason: FaceError) -> None:
        super().__init__(position, reason)
        self.position = position
        self.reason = reason

    def __str__(self) -> str:
        return f"image {self.position}: {self.reason}"


class NotGlb(FaceError):
    """The bytes are not a GLB file."""

    def __str__(self) -> str:
        return "the file is not a GLB"


class GlbUnreadable(FaceError):
    """The GLB file is damaged, or refers to something that it does not contain."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the GLB cannot be read: {self.reason}"
