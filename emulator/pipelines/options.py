"""Arguments, results and names of the pipelines.

Importing this module loads neither numpy nor MediaPipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from emulator.backends.queue import Pipeline
from emulator.face.errors import GlbUnreadable, ImageUndecodable, RefusedImage

if TYPE_CHECKING:
    from emulator.face.appearance import Attributes, FaceState, Gender
    from emulator.face.beauty_parameters import BeautyParameters
    from emulator.face.box import Box
    from emulator.face.color_filter import ColorFilter
    from emulator.face.pose import Pose, WeakPerspective
    from emulator.face.proportions import Proportions
    from emulator.face.reshape_parameters import ReshapeParameters
    from emulator.face.types import Points3

MOST_PIXELS = 50_000_000
"""Default limit of the number of pixels of a picture. Photographs have up to 50 million pixels.

An animated WebP of 7,071 x 7,071 pixels took the most memory: a peak of 825 MB in a worker process. A
transparent PNG that must be rotated took 614 MB.
"""


@dataclass(frozen=True)
class ImageRules:
    """Pictures that a caller accepts.

    Attributes
    ----------
    formats : frozenset of str
        Accepted formats: ``jpeg``, ``png``, ``webp``, ``bmp``, ``gif``, ``tiff``, ``heic``. The format is
        detected from the bytes.
    longest_side, shortest_side : int or None
        Inclusive limits of both sides, in pixels.
    most_pixels : int
        Inclusive limit of width times height, which limits memory. A JPEG with more pixels is reduced if the
        result can have another size. All other pictures with more pixels are rejected.
    """

    formats: frozenset[str]
    longest_side: int | None = None
    shortest_side: int | None = None
    most_pixels: int = MOST_PIXELS


@dataclass(frozen=True)
class ReshapeOptions:
    """Options of ``RESHAPE_PICTURE``.

    Attributes
    ----------
    rules : ImageRules
        Accepted pictures.
    index : int
        Index of the face in the list that ``DETECT_FACES`` returns.
    parameters : ReshapeParameters
        Change of the shape.
    smoothing, color_evening : float
        Strength of skin smoothing, and of making the skin colour even; each 0 to 1.
    smallest_fraction : float
        The face must fill more than this fraction of the picture's width and height.
    largest_angle_deg : float
        Yaw, pitch and roll must be smaller than this.
    """

    rules: ImageRules
    index: int
    parameters: ReshapeParameters
    smoothing: float
    color_evening: float
    smallest_fraction: float
    largest_angle_deg: float


@dataclass(frozen=True)
class ReshapedPicture:
    """The encoded result and its format (``jpeg`` or ``png``).

    ``total_ms`` is the duration of the pipeline; ``apply_ms`` is the duration of the reshaping alone.
    """

    data: bytes
    format: str
    total_ms: int
    apply_ms: int


@dataclass(frozen=True)
class BeautifyOptions:
    """Options of ``BEAUTIFY_PICTURE``.

    Attributes
    ----------
    rules : ImageRules
        Accepted pictures.
    parameters : BeautyParameters
        Changes of the skin, the eyebrows and the shape of all faces.
    color_filter : ColorFilter
        The filter that changes the colours of the whole picture.
    """

    rules: ImageRules
    parameters: BeautyParameters
    color_filter: ColorFilter


@dataclass(frozen=True, eq=False)
class View:
    """The camera of one picture of the head, and the size of the picture in pixels."""

    camera: WeakPerspective
    width: int
    height: int


@dataclass(frozen=True)
class WavefrontOptions:
    """Options of ``RECONSTRUCT_WAVEFRONT``.

    Attributes
    ----------
    rules : ImageRules
        Accepted pictures.
    texture_size : int
        Side of the texture in pixels.
    units_per_cm : float
        Number of length units of the OBJ per centimetre.
    material_library, texture_name : str
        File names that the OBJ and the MTL refer to.
    """

    rules: ImageRules
    texture_size: int
    units_per_cm: float
    material_library: str
    texture_name: str


@dataclass(frozen=True, eq=False)
class Wavefront:
    """A head as OBJ, MTL and JPEG (the texture), and one view for each picture, in the same order."""

    obj: str
    mtl: str
    texture: bytes
    views: tuple[View, ...]


@dataclass(frozen=True)
class DescriptionOptions:
    """Options of ``DESCRIBE_HEAD``.

    Attributes
    ----------
    rules : ImageRules
        Accepted pictures.
    texture_size : int
        Side of the texture in pixels. It is reduced until the PNG is smaller than
        ``texture_bytes``.
    texture_bytes : int
        Exclusive limit of the size of the PNG, in bytes.
    gender : {'female', 'male'} or None
        Gender to return for all faces. If None, it is estimated.
    """

    rules: ImageRules
    texture_size: int
    texture_bytes: int
    gender: Gender | None = None


@dataclass(frozen=True, eq=False)
class HeadDescription:
    """Result of ``DESCRIBE_HEAD``.

    Attributes
    ----------
    texture : bytes
        Texture as PNG.
    numbers : tuple of 80 float
        Shape of the head: identity coefficients in standard deviations of photographed people.
    attributes : Attributes
        Estimates of skin, hair, gender, glasses and eyelids.
    """

    texture: bytes
    numbers: tuple[float, ...]
    attributes: Attributes


HairMode: TypeAlias = Literal["card", "volume"]


@dataclass(frozen=True)
class HairOptions:
    """Options of ``RECONSTRUCT_HAIR``.

    Attributes
    ----------
    rules : ImageRules
        Accepted pictures.
    mode : {'card', 'volume'}
        'card' for strips with a texture of strands, 'volume' for one closed surface of one colour.
    color : tuple of 3 int or None
        Red, green and blue in sRGB, 0 to 255. If None, the colour is estimated from the picture.
    """

    rules: ImageRules
    mode: HairMode
    color: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class LocateOptions:
    """Options of ``LOCATE_FACES``.

    Attributes
    ----------
    rules : ImageRules
        Accepted pictures.
    shortest_face : float
        Smallest side of the box of a face, in pixels. Smaller faces are left out.
    shortest_fraction : float
        The same limit, as a fraction of the shorter side of the picture.
    described : int or None
        Number of faces, the largest first, that get a state and attributes; None for all.
    region : Box or None
        The part of the picture to search, in pixels. None for the whole picture.
    """

    rules: ImageRules
    shortest_face: float
    shortest_fraction: float
    described: int | None = 0
    region: Box | None = None


@dataclass(frozen=True, eq=False)
class LocatedFace:
    """A face in a picture.

    Attributes
    ----------
    landmarks : (478, 3) float64
        In pixels of the picture, as in `emulator.face.detection.Face`.
    box : Box
        Bounding box of the landmarks.
    state : FaceState or None
    attributes : Attributes or None
        None for faces that are not described.
    """

    landmarks: Points3
    box: Box
    state: FaceState | None = None
    attributes: Attributes | None = None


@dataclass(frozen=True, eq=False)
class LocatedFaces:
    """Result of ``LOCATE_FACES``: the size of the picture in pixels, and its faces, the largest first."""

    width: int
    height: int
    faces: tuple[LocatedFace, ...]


@dataclass(frozen=True)
class MeasureOptions:
    """Options of ``MEASURE_FACE``.

    Attributes
    ----------
    rules : ImageRules
        Accepted pictures.
    shortest_face : float
        Smallest side of the box of a face, in pixels. Smaller faces are left out.
    shortest_fraction : float
        The same limit, as a fraction of the shorter side of the picture.
    straighten : bool
        Whether to return the picture turned around the face until the head is upright.
    """

    rules: ImageRules
    shortest_face: float
    shortest_fraction: float
    straighten: bool


@dataclass(frozen=True, eq=False)
class MeasuredFace:
    """Result of ``MEASURE_FACE``: the largest face in a picture of ``width`` x ``height`` pixels.

    Attributes
    ----------
    width, height : int
    landmarks : (478, 3) float64
        In pixels of the picture, as in `emulator.face.detection.Face`.
    pose : Pose
    proportions : Proportions
    straightened : bytes or None
        The picture as a JPEG of the same size, turned around the face until the head is upright. Places
        outside the original picture are black.
    """

    width: int
    height: int
    landmarks: Points3
    pose: Pose
    proportions: Proportions
    straightened: bytes | None


@dataclass(frozen=True, eq=False)
class AvatarOptions:
    """Options of ``ASSEMBLE_AVATAR``.

    Attributes
    ----------
    rules : ImageRules
        Accepted textures.
    texture : bytes
        The texture of the skin. A PNG or a JPEG is embedded as it is, other formats become PNG.
    numbers : tuple of 80 float
        Shape of the head, as in `HeadDescription`.
    skin_color : tuple of 3 int
        Red, green and blue in sRGB, 0 to 255. Materials of the models with ``skin`` in their names get this
        colour.
    models : tuple of bytes
        GLB files to merge with the head.
    has_face_units : bool
        Whether the head has the 52 face units as morph targets.
    """

    rules: ImageRules
    texture: bytes
    numbers: tuple[float, ...]
    skin_color: tuple[int, int, int]
    models: tuple[bytes, ...]
    has_face_units: bool


def _refuse_first(reason: str) -> Exception:
    # It is not known which of several pictures is the cause.
    return RefusedImage(0, ImageUndecodable(reason))


DRAW_TEST_FACE: Pipeline[[str, str], bytes] = Pipeline("emulator.pipelines.faces.draw_test_face")
LIST_TEST_FACES: Pipeline[[], dict[str, str]] = Pipeline("emulator.pipelines.faces.list_test_faces")
DETECT_FACES: Pipeline[[bytes, ImageRules], tuple[Box, ...]] = Pipeline(
    "emulator.pipelines.detect.detect_faces", ImageUndecodable
)
LOCATE_FACES: Pipeline[[bytes, LocateOptions], LocatedFaces] = Pipeline(
    "emulator.pipelines.detect.locate_faces", ImageUndecodable
)
RESHAPE_PICTURE: Pipeline[[bytes, ReshapeOptions], ReshapedPicture] = Pipeline(
    "emulator.pipelines.reshape.reshape_picture", ImageUndecodable
)
BEAUTIFY_PICTURE: Pipeline[[bytes, BeautifyOptions], bytes] = Pipeline(
    "emulator.pipelines.beautify.beautify_picture", ImageUndecodable
)
RECONSTRUCT_WAVEFRONT: Pipeline[[Sequence[bytes], WavefrontOptions], Wavefront] = Pipeline(
    "emulator.pipelines.reconstruct.reconstruct_wavefront", _refuse_first
)
DESCRIBE_HEAD: Pipeline[[bytes, DescriptionOptions], HeadDescription] = Pipeline(
    "emulator.pipelines.reconstruct.describe_head", ImageUndecodable
)
MEASURE_FACE: Pipeline[[bytes, MeasureOptions], MeasuredFace] = Pipeline(
    "emulator.pipelines.measure.measure_face", ImageUndecodable
)
RECONSTRUCT_HAIR: Pipeline[[bytes, HairOptions], bytes] = Pipeline(
    "emulator.pipelines.hair.reconstruct_hair", ImageUndecodable
)
CHECK_GLB: Pipeline[[bytes], None] = Pipeline("emulator.pipelines.assemble.check_glb", GlbUnreadable)
ASSEMBLE_AVATAR: Pipeline[[AvatarOptions], bytes] = Pipeline(
    "emulator.pipelines.assemble.assemble_avatar", ImageUndecodable
)
