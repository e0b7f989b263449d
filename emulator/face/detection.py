"""Detection of faces and people in a picture. Only this module uses MediaPipe."""

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

# Longest side of the detectors' input, in pixels. MediaPipe reduces the input to 192 x 192 or 128 x 128
# pixels without a low-pass filter. Area averaging before that loses no detail and reduces aliasing.
_DETECTION_SIDE = 512

# Side of a crop in pixels, and in widths of the detector's box. MediaPipe's face mesh model, which finds the
# landmarks, uses 192 x 192 pixels that are 1.5 boxes wide. So the crop contains every pixel that it needs.
_CROP_SIDE = 256
_CROP_BOXES = 2.0

_MINIMUM_SCORE = 0.5

# Minimum score for all searches after the first. Pictures of a colour wheel and of coins score about 0.6.
# Faces that the first search misses score 0.7 or more.
_SECOND_SEARCH_SCORE = 0.65

# Smallest side of a face in pixels. Smaller faces are not recognisable. At 7 pixels, noise looks like a face.
_LEAST_SIDE = 10.0

# Sides of the tiles in the last searches, in eighths of the picture's sides.
_TILE_EIGHTHS = (5, 3)

# Boxes with a larger intersection over union show the same face. Two people cheek to cheek overlap less.
_SAME_FACE_IOU = 0.4
# If the intersection over union of candidate and landmarks is smaller, the mesh model found another face.
_SAME_PLACE_IOU = 0.2


@dataclass(frozen=True, eq=False)
class Face:
    """One face in a picture.

    Attributes
    ----------
    landmarks : (478, 3) float64
        In MediaPipe's face mesh topology (468 of the surface, 10 of the irises), in pixels of the
        picture: x right, y down, z away from the camera. z has the scale of x, and is 0 near the
        centre of the head. So the tip of the nose has the smallest z.
    box : Box
        Bounding box of the landmarks.
    score : float
        The detector's confidence, 0 to 1.
    """

    landmarks: Points3
    box: Box
    score: float


class FaceDetector(Protocol):
    """Interface of a face detector. Use an instance in one thread only."""

    def detect(self, image: Image, crops: int = 1) -> Sequence[Face]:
        """Return the faces in ``image``, the largest first.

        ``crops`` is the number of crops of each face. The landmarks are averaged over the crops. More crops
        make the landmarks more stable, but take longer.
        """

    def segment_person(self, image: Image) -> Mask:
        """Return the mask (H, W) float32 of people, 0 to 1."""


@dataclass(frozen=True)
class _CropVariant:
    """How a crop differs from a face's plain crop: shift in box widths, scale, roll in radians, mirroring."""

    right: float
    down: float
    size: float
    roll: float
    mirrored: bool


_PLAIN = _CropVariant(0.0, 0.0, 1.0, 0.0, mirrored=False)

# The landmarks differ slightly between crops of one face, so their mean is more stable. It is also more
# stable than the median, because there are no outliers. The crops come in mirrored pairs, so that mirroring
# the picture mirrors the mean.
_CROP_VARIANTS = (
    _CropVariant(0.02, -0.01, 0.96, 0.03, mirrored=False),
    _CropVariant(-0.02, -0.01, 0.96, -0.03, mirrored=True),
    _CropVariant(-0.02, 0.01, 1.03, -0.03, mirrored=False),
    _CropVariant(0.02, 0.01, 1.03, 0.03, mirrored=True),
)

# How far these crops extend beyond the plain crop, as a fraction of its side. They are rotated by 0.03 rad,
# enlarged by up to 3 %, and moved by up to 0.02 boxes. A box is half as wide as a crop.
_VARIANTS_REACH = 0.05

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
    """A possible face: its box, the roll of its eye line, and its score.

    ``roll`` is in radians, positive clockwise as seen by the viewer.
    """

    box: Box
    roll: float
    score: float


class MediaPipeDetector:
    """A FaceDetector that runs the models of the MediaPipe package on the CPU.

    MediaPipe's full-range detector finds candidates. They can be as small as a sixteenth of the picture's
    side. Each candidate is cropped upright. It is a face if the mesh model finds a face in the crop. If there
    is no face, the short-range detector, for close faces, searches the picture. If this finds no face either,
    the full-range detector searches four tiles of the picture, then nine. Heads can be rolled by 45 degrees
    and more, but not upside down.

    The same picture always gives a bit-identical result, whatever pictures came before. Use an instance in
    one thread only. The constructor imports MediaPipe, which takes seconds.
    """

    def __init__(self) -> None:
        from mediapipe.python.solutions import (  # noqa: PLC0415 - the import takes seconds
            face_detection,
            selfie_segmentation,
        )

        self._full_range: Any = face_detection.FaceDetection(
            min_detection_confidence=_MINIMUM_SCORE, model_selection=1
        )
        self._short_range: Any = face_detection.FaceDetection(
            min_detection_confidence=_MINIMUM_SCORE, model_selection=0
        )
        self._mesh_model = _MeshModel()
        self._segmentation: Any = selfie_segmentation.SelfieSegmentation(model_selection=0)

    def detect(self, image: Image, crops: int = 1) -> Sequence[Face]:
        """Return the faces in ``image``, the largest first.

        Faces of equal size are sorted from left to right, and then from top to bottom.

        Parameters
        ----------
        image : Image
        crops : int
            Number of crops of each face, 1 to 4. The landmarks are the mean over the crops. If the number is
            even, mirroring the picture mirrors the landmarks.

        Raises
        ------
        ValueError
            If ``image`` is not an `Image`, or ``crops`` is out of range.
        """
        check_image(image)
        if not 1 <= crops <= len(_CROP_VARIANTS):
            raise ValueError(f"crops must be 1 to {len(_CROP_VARIANTS)}, not {crops}")
        if image.size == 0:
            return ()
        # Continue with the next search if the mesh model rejects all candidates.
        for candidates in self._searches(image):
            faces = self._faces(image, candidates, crops)
            if faces:
                return faces
        return ()

    def segment_person(self, image: Image) -> Mask:
        """Return the mask (H, W) float32 of people, 0 to 1.

        Raises
        ------
        ValueError
            If ``image`` is not an `Image`.
        """
        check_image(image)
        height, width = image.shape[:2]
        if image.size == 0:
            return np.zeros((height, width), np.float32)
        reduced = _reduced(image)
        mask: Mask = np.clip(self._segmentation.process(reduced).segmentation_mask, 0.0, 1.0)
        if mask.shape != (height, width):
            # Linear interpolation keeps the range 0 to 1.
            mask = np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        return mask

    def _searches(self, image: Image) -> Iterator[list[_Candidate]]:
        """Yield the candidates of each search. Each search takes longer than the one before."""
        whole = (0, 0, image.shape[1], image.shape[0])
        yield _search(self._full_range, image, whole)
        yield _above_second_search_score(_search(self._short_range, image, whole))
        for eighths in _TILE_EIGHTHS:
            tiles = _tiles(image, eighths)
            yield _above_second_search_score(
                one for tile in tiles for one in _search(self._full_range, image, tile)
            )

    def _faces(self, image: Image, candidates: Sequence[_Candidate], crops: int) -> tuple[Face, ...]:
        """Return the candidates that are faces, without duplicates, the largest first."""
        faces: list[Face] = []
        for candidate in _without_duplicates(candidates):
            landmarks = self._landmarks(_surroundings(image, candidate), candidate)
            if landmarks is None:
                continue
            # Detect again in a crop around the landmarks, because they are more reliable than the detector's
            # box. The new landmarks depend half as much on the position and the size of the face in the
            # picture.
            around = _around(landmarks, candidate.score)
            part = _surroundings(image, around)
            closer = self._mean_landmarks(part, around, (_PLAIN,) if crops == 1 else _CROP_VARIANTS[:crops])
            landmarks = landmarks if closer is None else closer
            box = _box_around(landmarks)
            if min(box.width, box.height) < _LEAST_SIDE:
                continue
            if all(_overlap(box, face.box) <= _SAME_FACE_IOU for face in faces):
                faces.append(Face(landmarks, box, candidate.score))
        faces.sort(key=lambda face: (-face.box.width * face.box.height, face.box.left, face.box.top))
        return tuple(faces)

    def _mean_landmarks(
        self, part: Part, around: _Candidate, variants: Sequence[_CropVariant]
    ) -> Points3 | None:
        """Return the mean of the landmarks (478, 3) over crops, or None if no crop has a face."""
        seen = [
            found
            for variant in variants
            if (found := self._landmarks_in_crop(part, around, variant)) is not None
        ]
        return np.mean(seen, axis=0) if seen else None

    def _landmarks_in_crop(self, part: Part, around: _Candidate, variant: _CropVariant) -> Points3 | None:
        """Return the landmarks (478, 3) in a crop, in pixels of the picture, or None if there is no face."""
        crop, to_image = _upright_crop(part, _moved(around, variant))
        normalised = self._mesh_model(np.ascontiguousarray(crop[:, ::-1]) if variant.mirrored else crop)
        if normalised is None:
            return None
        if variant.mirrored:
            normalised = normalised[_MIRROR]
            normalised[:, 0] = 1.0 - normalised[:, 0]
        return _in_image(normalised, to_image)

    def _landmarks(self, part: Part, candidate: _Candidate) -> Points3 | None:
        """Return a candidate's landmarks (478, 3) in pixels of the picture, or None if there is no face."""
        landmarks = self._landmarks_in_crop(part, candidate, _PLAIN)
        if landmarks is None or _overlap(_box_around(landmarks), candidate.box) <= _SAME_PLACE_IOU:
            return None
        return landmarks


class _MeshModel:
    """MediaPipe's face mesh model without the search for a face. Skipping the search halves the time.

    The input is a square, upright crop of a face. The model uses the middle of the crop, 1.5 times as wide as
    the box of the face.
    """

    def __init__(self) -> None:
        from mediapipe.framework.formats import rect_pb2  # noqa: PLC0415 - as above
        from mediapipe.python import packet_creator  # noqa: PLC0415 - as above
        from mediapipe.python._framework_bindings import calculator_graph  # noqa: PLC0415 - as above

        self._packets: Any = packet_creator
        side = 1.5 / _CROP_BOXES
        self._middle: Any = rect_pb2.NormalizedRect(x_center=0.5, y_center=0.5, width=side, height=side)
        self._graph: Any = calculator_graph.CalculatorGraph(graph_config=_MESH_GRAPH)
        self._found: list[Any] = []
        self._graph.observe_output_stream("landmarks", lambda _name, packet: self._found.append(packet))
        refined = True  # with irises
        self._graph.start_run({"with_attention": packet_creator.create_bool(refined)})
        self._timestamp_us = 0

    def __call__(self, crop: Image) -> Points3 | None:
        """Return landmarks (478, 3) as fractions of the crop's side, or None if there is no face."""
        from mediapipe.python import packet_getter  # noqa: PLC0415 - as above
        from mediapipe.python._framework_bindings import image_frame  # noqa: PLC0415 - as above

        # MediaPipe requires increasing timestamps; their values do not matter.
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

    ``laboratory.derive`` makes the triangles of the canonical mesh from these edges. This function imports
    MediaPipe, which takes seconds.
    """
    from mediapipe.python.solutions.face_mesh_connections import (  # noqa: PLC0415 - as above
        FACEMESH_TESSELATION,
    )

    edges = np.sort(np.array(sorted(FACEMESH_TESSELATION), np.int32), axis=1)
    return np.unique(edges, axis=0)


def _read_landmarks(mesh: Any) -> Points3:
    """Return MediaPipe's landmarks (478, 3) as fractions of the crop's side."""
    return np.array([(point.x, point.y, point.z) for point in mesh.landmark], np.float64)


def _in_image(normalised: Points3, to_image: Matrix) -> Points3:
    """Convert landmarks (478, 3) from fractions of a crop's side to pixels of the picture."""
    # In MediaPipe, integer coordinates are the edges of pixels. Here they are the centres.
    flat = normalised[:, :2] * _CROP_SIDE - 0.5
    landmarks = np.empty_like(normalised)
    landmarks[:, :2] = flat @ to_image[:, :2].T + to_image[:, 2]
    landmarks[:, 2] = normalised[:, 2] * _CROP_SIDE * float(np.hypot(to_image[0, 0], to_image[1, 0]))
    return landmarks


def _reduced(image: Image) -> Image:
    """Return ``image`` with a longest side of at most ``_DETECTION_SIDE``, C-contiguous."""
    height, width = image.shape[:2]
    factor = _DETECTION_SIDE / max(height, width)
    if factor >= 1.0:
        return np.ascontiguousarray(image)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _above_second_search_score(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    return [candidate for candidate in candidates if candidate.score >= _SECOND_SEARCH_SCORE]


def _without_duplicates(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Return the candidates, the highest score first, without those that overlap one with a higher score."""
    kept: list[_Candidate] = []
    for candidate in sorted(candidates, key=lambda one: (-one.score, one.box.left, one.box.top)):
        if all(_overlap(candidate.box, other.box) <= _SAME_FACE_IOU for other in kept):
            kept.append(candidate)
    return kept


def _tiles(image: Image, eighths: int) -> Sequence[tuple[int, int, int, int]]:
    """Return left, top, width and height of overlapping tiles that cover a picture.

    The sides of a tile are ``eighths`` eighths of the picture's sides. With 5 eighths, there are four tiles.
    Each face that is up to a quarter as wide and as high as the picture is completely in one of them. With 3
    eighths, there are nine tiles. Each face that is up to a sixteenth as wide and as high as the picture is
    completely in one of them.
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
    """Return MediaPipe's detections in a part of a picture, in pixels of the whole picture."""
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
        # Keypoint 0 is the person's right eye (on the viewer's left), keypoint 1 the left eye.
        right_eye, left_eye = location.relative_keypoints[0], location.relative_keypoints[1]
        roll = float(np.arctan2((left_eye.y - right_eye.y) * height, (left_eye.x - right_eye.x) * width))
        candidates.append(_Candidate(box, roll, float(detection.score[0])))
    return candidates


def _around(landmarks: Points3, score: float) -> _Candidate:
    """Return a candidate for landmarks (478, 3): a square box around them, with the roll of the eye line.

    The square has the size and position of a detector's box, because the mesh model expects that. Such a box
    is slightly smaller than the landmarks' extent, and lower, because it contains less of the forehead.
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


def _moved(candidate: _Candidate, variant: _CropVariant) -> _Candidate:
    """Return the candidate moved, scaled and rolled by ``variant``."""
    box = candidate.box
    shift = _turn(candidate.roll) @ np.array([variant.right, variant.down]) * box.width
    side = box.width * variant.size
    left = box.left + float(shift[0]) - (side - box.width) / 2
    top = box.top + float(shift[1]) - (side - box.width) / 2
    return _Candidate(Box(left, top, side, side), candidate.roll + variant.roll, candidate.score)


def _turn(roll: float) -> Matrix:
    """Return the matrix (2, 2) that turns pixels by ``roll`` radians, clockwise as seen by the viewer."""
    cosine, sine = np.cos(roll), np.sin(roll)
    return np.array([[cosine, -sine], [sine, cosine]])


def _to_image(candidate: _Candidate) -> Matrix:
    """Return the matrix (2, 3) that maps (x, y, 1) in the candidate's upright crop to the picture."""
    box = candidate.box
    side = max(box.width, box.height, 1.0) * _CROP_BOXES
    centre = np.array([box.left + box.width / 2, box.top + box.height / 2])
    linear = _turn(candidate.roll) * (side / _CROP_SIDE)
    return np.column_stack([linear, centre - linear @ np.full(2, (_CROP_SIDE - 1) / 2)])


def _surroundings(image: Image, candidate: _Candidate) -> Part:
    """Return the part of the picture that contains all crops of a candidate."""
    return part_for(image, _to_image(candidate), _CROP_SIDE, _CROP_SIDE, _VARIANTS_REACH)


def _upright_crop(part: Part, candidate: _Candidate) -> tuple[Image, Matrix]:
    """Return a square crop with the candidate upright, and the map from the crop to the picture.

    Outside the picture, the crop repeats the picture's edge.

    Returns
    -------
    crop : (_CROP_SIDE, _CROP_SIDE, 3) uint8
    to_image : (2, 3) float64
        Maps (x, y, 1) in the crop to (x, y) in the picture.
    """
    to_image = _to_image(candidate)
    return part.sample(to_image, _CROP_SIDE, _CROP_SIDE, cv2.BORDER_REPLICATE), to_image


def _box_around(landmarks: Points3) -> Box:
    """Return the bounding box of ``landmarks``."""
    left, top = landmarks[:, :2].min(axis=0)
    right, bottom = landmarks[:, :2].max(axis=0)
    return Box(float(left), float(top), float(right - left), float(bottom - top))


def _overlap(first: Box, second: Box) -> float:
    """Return the intersection over union (IoU) of two boxes."""
    width = min(first.left + first.width, second.left + second.width) - max(first.left, second.left)
    height = min(first.top + first.height, second.top + second.height) - max(first.top, second.top)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (first.width * first.height + second.width * second.height - shared)
