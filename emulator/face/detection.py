"""Faces and people in a picture. The only module that knows MediaPipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from emulator.face.landmarks import LEFT_EYE_OUTER_CORNER, MIRROR, RIGHT_EYE_OUTER_CORNER
from emulator.face.resampling import Part, part_for
from emulator.face.types import Box, Image, Mask, Matrix, Points3, check_image

# The detectors look at 192 x 192 and 128 x 128 pixels, sampled without a low-pass filter. A
# picture reduced by area averaging beforehand loses nothing for them and aliases less.
_DETECTION_SIDE = 512

# A crop is this many pixels on a side, and this many times as wide as the detector's box. The
# mesh model looks at 192 x 192 pixels, 1.5 boxes wide, so every pixel that it wants is there.
_CROP_SIDE = 256
_CROP_BOXES = 2.0

_MINIMUM_SCORE = 0.5

# What only a second search finds has to be surer: a colour wheel and coins get about 0.6, faces
# that the first search misses 0.7 and more.
_SECOND_SEARCH_SCORE = 0.65

# Nobody could be told on fewer pixels across, and noise looks like a face on seven.
_LEAST_SIDE = 10.0

# How long the parts are, in eighths of the picture's sides, in which it is searched if nothing else helps.
_TILE_EIGHTHS = (5, 3)

# Two boxes that overlap by more are one face. Faces of two people cheek to cheek overlap less.
_SAME_FACE_IOU = 0.4
_SAME_PLACE_IOU = 0.2


@dataclass(frozen=True, eq=False)
class Face:
    """One face in a picture.

    Attributes
    ----------
    landmarks : (478, 3) float64
        MediaPipe's face mesh topology (468 of the surface, 10 of the irises), in pixels of the
        picture: x right, y down, z away from the camera, at the scale of x and with its zero
        near the head's centre (so the nose tip has the smallest z).
    box : Box
        Around the landmarks.
    score : float
        The detector's confidence, 0 to 1.
    """

    landmarks: Points3
    box: Box
    score: float


class FaceDetector(Protocol):
    """What finds faces. One instance serves one thread."""

    def detect(self, image: Image, looks: int = 1) -> Sequence[Face]:
        """Return the faces in ``image``, the largest first; empty if there are none.

        More ``looks`` at each face make its landmarks steadier, and take longer.
        """

    def segment_person(self, image: Image) -> Mask:
        """Return (H, W) float32, 0 to 1: how much each pixel belongs to a person."""


@dataclass(frozen=True)
class _Look:
    """How a crop of a face differs from the plain one: moved and grown in parts of the face's size."""

    right: float
    down: float
    size: float
    roll: float
    mirrored: bool


_PLAIN = _Look(0.0, 0.0, 1.0, 0.0, mirrored=False)

# The mesh model answers a little differently to each crop of one face; the mean is steadier (and it
# is steadier than the median: the answers scatter without outliers). The crops come in mirrored
# pairs, so a mirrored picture is looked at in the same way.
_LOOKS = (
    _Look(0.02, -0.01, 0.96, 0.03, mirrored=False),
    _Look(-0.02, -0.01, 0.96, -0.03, mirrored=True),
    _Look(-0.02, 0.01, 1.03, -0.03, mirrored=False),
    _Look(0.02, 0.01, 1.03, 0.03, mirrored=True),
)

# How far the looks' crops stand out over the plain one, in its sides: turned by 0.03, grown by 0.03 and
# moved by 0.02 boxes, which are half a crop.
_LOOKS_REACH = 0.05

_MIRROR = np.array(MIRROR)

_MESH_GRAPH = """
input_stream: "image"
input_stream: "place"
input_side_packet: "with_attention"
output_stream: "landmarks"
num_threads: 1
node {
  calculator: "FaceLandmarkCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:place"
  input_side_packet: "WITH_ATTENTION:with_attention"
  output_stream: "LANDMARKS:landmarks"
}
"""


@dataclass(frozen=True)
class _Candidate:
    """Where a face may be: its box, how far its eye line is rolled, and how sure that is.

    ``roll`` is in radians, positive clockwise as the viewer sees it.
    """

    box: Box
    roll: float
    score: float


class MediaPipeDetector:
    """A FaceDetector that runs the models in MediaPipe's wheel on the CPU.

    A detector that reaches far (faces from about a sixteenth of the picture's side) finds the
    candidates; each is turned upright and cropped, and it counts as a face if the mesh model
    agrees. Where none does, a detector for close faces searches the picture, then the first one
    four parts of it, then nine. Heads may be rolled by 45 degrees and more, not stand upside down.

    The same picture gives the same bits, whatever the instance saw before. One instance serves
    one thread. The import of MediaPipe (seconds) happens in the constructor.
    """

    def __init__(self) -> None:
        from mediapipe.python.solutions import (  # noqa: PLC0415 - costs seconds: only who detects pays
            face_detection,
            selfie_segmentation,
        )

        self._full_range: Any = face_detection.FaceDetection(
            min_detection_confidence=_MINIMUM_SCORE, model_selection=1
        )
        self._short_range: Any = face_detection.FaceDetection(
            min_detection_confidence=_MINIMUM_SCORE, model_selection=0
        )
        self._look_at = _MeshModel()
        self._segmentation: Any = selfie_segmentation.SelfieSegmentation(model_selection=0)

    def detect(self, image: Image, looks: int = 1) -> Sequence[Face]:
        """Return the faces in ``image``, the largest first, ties from left to right, top to bottom.

        Parameters
        ----------
        image : Image
        looks : int
            1 to 4: how many crops of each face the mesh model looks at. The landmarks are the mean.
            An even number does the same to a picture and to its mirror image.

        Raises
        ------
        ValueError
            If ``image`` is no (H, W, 3) uint8 array, or ``looks`` is another number.
        """
        check_image(image)
        if not 1 <= looks <= len(_LOOKS):
            raise ValueError(f"looks must be 1 to {len(_LOOKS)}, not {looks}")
        if image.size == 0:
            return ()
        # A search whose candidates the mesh model all refuses has found nothing: the next one may.
        for candidates in self._searches(image):
            faces = self._faces(image, candidates, looks)
            if faces:
                return faces
        return ()

    def segment_person(self, image: Image) -> Mask:
        """Return (H, W) float32, 0 to 1: how much each pixel belongs to a person.

        Raises
        ------
        ValueError
            If ``image`` is no (H, W, 3) uint8 array.
        """
        check_image(image)
        height, width = image.shape[:2]
        if image.size == 0:
            return np.zeros((height, width), np.float32)
        reduced = _reduced(image)
        mask: Mask = np.clip(self._segmentation.process(reduced).segmentation_mask, 0.0, 1.0)
        if mask.shape != (height, width):
            # Between two values from 0 to 1 there are no others.
            mask = np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        return mask

    def _searches(self, image: Image) -> Iterator[list[_Candidate]]:
        """Yield where faces may be, search by search, each longer than the one before."""
        whole = (0, 0, image.shape[1], image.shape[0])
        yield _search(self._full_range, image, whole)
        yield _surer(_search(self._short_range, image, whole))
        for eighths in _TILE_EIGHTHS:
            tiles = _tiles(image, eighths)
            yield _surer(one for tile in tiles for one in _search(self._full_range, image, tile))

    def _faces(self, image: Image, candidates: Sequence[_Candidate], looks: int) -> tuple[Face, ...]:
        """Return the candidates that are faces, each once: the largest first."""
        faces: list[Face] = []
        for candidate in _each_once(candidates):
            landmarks = self._landmarks(_surroundings(image, candidate), candidate)
            if landmarks is None:
                continue
            # Once more on a crop around the landmarks, which are surer than the detector's box: it
            # halves how much they depend on where in the picture the face is, and how large.
            around = _around(landmarks, candidate.score)
            part = _surroundings(image, around)
            closer = self._mean(part, around, (_PLAIN,) if looks == 1 else _LOOKS[:looks])
            landmarks = landmarks if closer is None else closer
            box = _box_around(landmarks)
            if min(box.width, box.height) < _LEAST_SIDE:
                continue
            if all(_overlap(box, face.box) <= _SAME_FACE_IOU for face in faces):
                faces.append(Face(landmarks, box, candidate.score))
        faces.sort(key=lambda face: (-face.box.width * face.box.height, face.box.left, face.box.top))
        return tuple(faces)

    def _mean(self, part: Part, around: _Candidate, looks: Sequence[_Look]) -> Points3 | None:
        """Return the mean of the landmarks (478, 3) that several looks find; None if none finds any."""
        seen = [found for look in looks if (found := self._seen(part, around, look)) is not None]
        return np.mean(seen, axis=0) if seen else None

    def _seen(self, part: Part, around: _Candidate, look: _Look) -> Points3 | None:
        """Return the landmarks (478, 3) in pixels of the picture that one look finds; None if none."""
        crop, to_image = _upright_crop(part, _moved(around, look))
        normalised = self._look_at(np.ascontiguousarray(crop[:, ::-1]) if look.mirrored else crop)
        if normalised is None:
            return None
        if look.mirrored:
            normalised = normalised[_MIRROR]
            normalised[:, 0] = 1.0 - normalised[:, 0]
        return _in_image(normalised, to_image)

    def _landmarks(self, part: Part, candidate: _Candidate) -> Points3 | None:
        """Return the landmarks (478, 3) in pixels of the picture; None if the mesh model sees no face."""
        landmarks = self._seen(part, candidate, _PLAIN)
        # Less overlap than this, and the mesh model found somebody else.
        if landmarks is None or _overlap(_box_around(landmarks), candidate.box) <= _SAME_PLACE_IOU:
            return None
        return landmarks


class _MeshModel:
    """The mesh model alone, for crops in which the face's place is known: half as long as a search.

    Looks at the middle of a square crop, upright, 1.5 faces wide.
    """

    def __init__(self) -> None:
        from mediapipe.framework.formats import rect_pb2  # noqa: PLC0415 - costs seconds, as above
        from mediapipe.python import packet_creator  # noqa: PLC0415 - as above
        from mediapipe.python._framework_bindings import calculator_graph  # noqa: PLC0415 - as above

        self._packets: Any = packet_creator
        side = 1.5 / _CROP_BOXES
        self._middle: Any = rect_pb2.NormalizedRect(x_center=0.5, y_center=0.5, width=side, height=side)
        self._graph: Any = calculator_graph.CalculatorGraph(graph_config=_MESH_GRAPH)
        self._found: list[Any] = []
        self._graph.observe_output_stream("landmarks", lambda _name, packet: self._found.append(packet))
        refined = True  # with irises, as the landmarks have them
        self._graph.start_run({"with_attention": packet_creator.create_bool(refined)})
        self._timestamp_us = 0

    def __call__(self, crop: Image) -> Points3 | None:
        """Return landmarks (478, 3) in parts of the crop's side; None if the model sees no face."""
        from mediapipe.python import packet_getter  # noqa: PLC0415 - as above
        from mediapipe.python._framework_bindings import image_frame  # noqa: PLC0415 - as above

        # Pictures must follow each other in time, whatever the time.
        self._timestamp_us += 1
        self._found.clear()
        picture = self._packets.create_image_frame(
            image_format=image_frame.ImageFormat.SRGB, data=np.ascontiguousarray(crop)
        )
        place = self._packets.create_proto(self._middle)
        self._graph.add_packet_to_input_stream("image", picture.at(self._timestamp_us))
        self._graph.add_packet_to_input_stream("place", place.at(self._timestamp_us))
        self._graph.wait_until_idle()
        return _read_landmarks(packet_getter.get_proto(self._found[0])) if self._found else None


def face_mesh_edges() -> NDArray[np.int32]:
    """Return the undirected edges (E, 2) between the landmarks of MediaPipe's face mesh, sorted.

    What the canonical mesh is derived from. The import of MediaPipe takes seconds.
    """
    from mediapipe.python.solutions.face_mesh_connections import (  # noqa: PLC0415 - as above
        FACEMESH_TESSELATION,
    )

    edges = np.sort(np.array(sorted(FACEMESH_TESSELATION), np.int32), axis=1)
    return np.unique(edges, axis=0)


def _read_landmarks(mesh: Any) -> Points3:
    """Return MediaPipe's landmarks (478, 3) in parts of the picture's side."""
    return np.array([(point.x, point.y, point.z) for point in mesh.landmark], np.float64)


def _in_image(normalised: Points3, to_image: Matrix) -> Points3:
    """Return landmarks (478, 3) in parts of a crop's side as pixels of the picture."""
    # MediaPipe has pixel edges at integers, we have the centres there.
    flat = normalised[:, :2] * _CROP_SIDE - 0.5
    landmarks = np.empty_like(normalised)
    landmarks[:, :2] = flat @ to_image[:, :2].T + to_image[:, 2]
    landmarks[:, 2] = normalised[:, 2] * _CROP_SIDE * float(np.hypot(to_image[0, 0], to_image[1, 0]))
    return landmarks


def _reduced(image: Image) -> Image:
    """Return ``image``, its longest side at most ``_DETECTION_SIDE``, C-contiguous."""
    height, width = image.shape[:2]
    factor = _DETECTION_SIDE / max(height, width)
    if factor >= 1.0:
        return np.ascontiguousarray(image)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _surer(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    return [candidate for candidate in candidates if candidate.score >= _SECOND_SEARCH_SCORE]


def _each_once(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Return the candidates, the surest first, without those that overlap a surer one."""
    kept: list[_Candidate] = []
    for candidate in sorted(candidates, key=lambda one: (-one.score, one.box.left, one.box.top)):
        if all(_overlap(candidate.box, other.box) <= _SAME_FACE_IOU for other in kept):
            kept.append(candidate)
    return kept


def _tiles(image: Image, eighths: int) -> Sequence[tuple[int, int, int, int]]:
    """Return left, top, width and height of parts of a picture, so many eighths of its sides long.

    Four parts of five eighths: a face of a quarter of the sides lies wholly in one. Nine of three
    eighths: one of a sixteenth does.
    """
    height, width = image.shape[:2]
    across, down = -(-width * eighths // 8), -(-height * eighths // 8)
    steps = -(-(8 - eighths) // eighths)
    return [
        (column * (width - across) // steps, row * (height - down) // steps, across, down)
        for row in range(steps + 1)
        for column in range(steps + 1)
    ]


def _search(detector: Any, image: Image, place: tuple[int, int, int, int]) -> list[_Candidate]:
    """Return what MediaPipe's ``detector`` finds in a part of a picture, in the picture's pixels."""
    left, top, width, height = place
    result = detector.process(_reduced(image[top : top + height, left : left + width]))
    candidates = []
    for detection in result.detections or ():
        location = detection.location_data
        relative = location.relative_bounding_box
        box = Box(
            left + relative.xmin * width - 0.5,
            top + relative.ymin * height - 0.5,
            relative.width * width,
            relative.height * height,
        )
        # Keypoints 0 and 1 are the person's right eye (the viewer's left) and left eye.
        right_eye, left_eye = location.relative_keypoints[0], location.relative_keypoints[1]
        roll = float(np.arctan2((left_eye.y - right_eye.y) * height, (left_eye.x - right_eye.x) * width))
        candidates.append(_Candidate(box, roll, float(detection.score[0])))
    return candidates


def _around(landmarks: Points3, score: float) -> _Candidate:
    """Return the candidate that landmarks (478, 3) are: a square around them, the eye line level.

    Where and as large as the detector would have it, for the mesh model is used to that: a little
    smaller than the landmarks' extent and lower, since foreheads count less.
    """
    across = landmarks[LEFT_EYE_OUTER_CORNER, :2] - landmarks[RIGHT_EYE_OUTER_CORNER, :2]
    roll = float(np.arctan2(across[1], across[0]))
    turn = _turn(roll)
    upright = landmarks[:, :2] @ turn
    low, high = upright.min(axis=0), upright.max(axis=0)
    extent = float((high - low).max())
    centre = turn @ ((low + high) / 2 + (0.0, 0.033 * extent))
    side = 0.91 * extent
    return _Candidate(Box(float(centre[0]) - side / 2, float(centre[1]) - side / 2, side, side), roll, score)


def _moved(candidate: _Candidate, look: _Look) -> _Candidate:
    """Return the candidate as ``look`` crops it."""
    box = candidate.box
    shift = _turn(candidate.roll) @ np.array([look.right, look.down]) * box.width
    side = box.width * look.size
    left = box.left + float(shift[0]) - (side - box.width) / 2
    top = box.top + float(shift[1]) - (side - box.width) / 2
    return _Candidate(Box(left, top, side, side), candidate.roll + look.roll, candidate.score)


def _turn(roll: float) -> Matrix:
    """Return the matrix (2, 2) that turns pixels clockwise, as the viewer sees it, by ``roll`` radians."""
    cosine, sine = np.cos(roll), np.sin(roll)
    return np.array([[cosine, -sine], [sine, cosine]])


def _to_image(candidate: _Candidate) -> Matrix:
    """Return the matrix (2, 3) that takes (x, y, 1) in the candidate's upright crop to the picture."""
    box = candidate.box
    side = max(box.width, box.height, 1.0) * _CROP_BOXES
    centre = np.array([box.left + box.width / 2, box.top + box.height / 2])
    linear = _turn(candidate.roll) * (side / _CROP_SIDE)
    return np.column_stack([linear, centre - linear @ np.full(2, (_CROP_SIDE - 1) / 2)])


def _surroundings(image: Image, candidate: _Candidate) -> Part:
    """Return the part of the picture that all looks at a candidate need."""
    return part_for(image, _to_image(candidate), _CROP_SIDE, _CROP_SIDE, _LOOKS_REACH)


def _upright_crop(part: Part, candidate: _Candidate) -> tuple[Image, Matrix]:
    """Return a square crop in which the candidate stands upright, and the way back.

    What lies outside the picture repeats its edge.

    Returns
    -------
    crop : (_CROP_SIDE, _CROP_SIDE, 3) uint8
    to_image : (2, 3) float64
        Takes (x, y, 1) in the crop to (x, y) in the picture.
    """
    to_image = _to_image(candidate)
    return part.sample(to_image, _CROP_SIDE, _CROP_SIDE, cv2.BORDER_REPLICATE), to_image


def _box_around(landmarks: Points3) -> Box:
    """Return the smallest box that holds all ``landmarks``."""
    left, top = landmarks[:, :2].min(axis=0)
    right, bottom = landmarks[:, :2].max(axis=0)
    return Box(float(left), float(top), float(right - left), float(bottom - top))


def _overlap(first: Box, second: Box) -> float:
    """Return the area that two boxes share, divided by the area that they cover together."""
    width = min(first.left + first.width, second.left + second.width) - max(first.left, second.left)
    height = min(first.top + first.height, second.top + second.height) - max(first.top, second.top)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (first.width * first.height + second.width * second.height - shared)
