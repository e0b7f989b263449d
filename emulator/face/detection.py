"""Detection of faces and people in a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final, Protocol

import cv2
import numpy as np

from emulator.face.box import Box
from emulator.face.candidates import (
    CROP_VARIANTS,
    LOOK_CROP,
    MESH_CROP,
    PLAIN,
    Candidate,
    CropVariant,
    Place,
    Tile,
    around,
    box_around,
    in_image,
    moved,
    overlap,
    same_place,
    shows_part,
    surroundings,
    tiles,
    turned,
    upright_crop,
    without_duplicates,
)
from emulator.face.landmarks import MIRROR
from emulator.face.later import Later, never, when_needed
from emulator.face.mediapipe_models import BoxModel, FoundBox, MeshModel, PersonModel, TwoScoresModel
from emulator.face.resampling import Part, reduced
from emulator.face.types import Image, Mask, Points3, check_image

# Longest side of the detectors' input, in pixels. MediaPipe reduces the input to 192 x 192 or 128 x 128
# pixels without a low-pass filter. Reducing the picture to this size first, by averaging, loses no detail and
# reduces aliasing.
_DETECTION_SIDE: Final = 512

# Scores of the full-range detector. Boxes from `_CLEAR_SCORE` on are faces unless the mesh model rejects
# them. Boxes from `_FAINT_SCORE` on need a closer look: in pictures of groups, a third of the small faces
# score below `_CLEAR_SCORE`.
_CLEAR_SCORE: Final = 0.6
_FAINT_SCORE: Final = 0.03

# Maximum number of faint boxes to examine in a picture.
_MOST_FAINT: Final = 48

# Minimum score for searches after the first. Pictures of a colour wheel and of coins score about 0.6. Faces
# that the first search misses score 0.7 or more. Faces in groups, where people hide each other, score less.
_SECOND_SEARCH_SCORE: Final = 0.65
_GROUP_SCORE: Final = 0.3

# Sides of the tiles in the last searches, in eighths of the picture's sides.
_TILE_EIGHTHS: Final = (5, 3)

# A picture is a portrait if its only face is at least this wide, as a fraction of the picture's longest side.
# The tiles of a portrait are not searched for other faces.
_PORTRAIT: Final = 0.2

# Smallest side of a face in pixels. Smaller faces are not recognisable. At 7 pixels, noise looks like a face.
_LEAST_SIDE: Final = 10.0

# If the box of the landmarks and the box of the candidate have a smaller intersection over union, the mesh
# model found another face.
_SAME_PLACE_IOU: Final = 0.2

# The mesh model returns landmarks for heads in any orientation, even upside down. The short-range detector
# finds upright heads only. In the upright crops of heads whose roll was right, it scored 0.857 or more. In
# crops of heads that were upside down, it scored up to 0.76. In crops of heads whose roll was wrong by 40 to
# 50 degrees, it could score higher, but it reported a roll of 32 degrees or more.
_UPRIGHT_SCORE: Final = 0.9
_UPRIGHT_ROLL: Final = np.radians(15.0)

# Minimum scores of the short-range detector: for any box, for a faint candidate to count as a face, and for a
# candidate in a tile to count as a face if another face was found before. An astronaut's spacesuit scores
# 0.72 in a tile.
_LOOK_SCORE: Final = 0.5
_FAINT_CONFIRMED: Final = 0.7
_TILE_CONFIRMED: Final = 0.75

# Minimum score of the short-range detector in the crop of a faint candidate. There, faces score 0.77 or more,
# and nine of ten other candidates score less than this.
_FIRST_LOOK: Final = 0.6

# Maximum number of faint candidates to look at before it is known whether each of them must be looked at.
_MOST_AHEAD: Final = 4

# Heads with a larger roll are not found.
_MOST_ROLL: Final = np.radians(60.0)


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
    """

    landmarks: Points3
    box: Box


@dataclass(frozen=True)
class _Search:
    """Candidates, and the minimum scores of the short-range detector at which they count as faces.

    Attributes
    ----------
    candidates : list of Candidate
    confirmed : float
        Minimum score in a crop around the candidate's landmarks.
    first_look : float
        Minimum score in a crop around the candidate's own place. Candidates with a lower score are rejected
        without landmarks.
    ahead : mapping of Candidate to callable
        Functions that return the scores of some candidates around their own place.
    """

    candidates: list[Candidate]
    confirmed: float = 0.0
    first_look: float = 0.0
    ahead: Mapping[Candidate, Callable[[], float]] = field(default_factory=dict)


class FaceDetector(Protocol):
    """Interface of a face detector. Use an instance in one thread only."""

    def detect(self, image: Image, crops: int = 1) -> Sequence[Face]:
        """Return the faces in ``image``, the largest first.

        ``crops`` is the number of crops of each face. The landmarks are averaged over the crops. More crops
        make the landmarks more stable, but take longer.
        """

    def segment_person(self, image: Image) -> Mask:
        """Return the mask (H, W) float32 of people, 0 to 1."""

    def coarse_person(self, image: Image) -> Mask:
        """Return the mask of people with the model's own resolution, which is lower than the picture's."""


class MediaPipeDetector:
    """A FaceDetector that runs the models of the MediaPipe package on the CPU.

    MediaPipe's full-range detector finds candidates. A face can be as small as a sixteenth of the picture's
    side. Some smaller faces are found, too, because candidates with low scores are also examined. Each
    candidate is cropped upright. It counts as a face if the mesh model finds a face in the crop, and the
    short-range detector does not contradict the orientation of that face. If no face is found, the
    short-range detector, which is made for close faces, searches the whole picture. If there is still no
    face, or if there are several or only a small one, the full-range detector searches four tiles of the
    picture, and then nine. Heads can be rolled by up to 60 degrees.

    The same picture always gives a bit-identical result, whatever pictures came before. Use an instance in
    one thread only. The constructor imports MediaPipe, which takes seconds.

    Parameters
    ----------
    later : Later
        Runs a part of the detection. It may use another thread.
    has_second_thread : callable
        Returns whether a detection may use another thread at this moment.
    """

    def __init__(self, later: Later = when_needed, has_second_thread: Callable[[], bool] = never) -> None:
        self._later = later
        self._has_second_thread = has_second_thread
        self._full_range_in_one_thread = TwoScoresModel(_CLEAR_SCORE, _FAINT_SCORE)
        self._short_range = BoxModel("ShortRange", _LOOK_SCORE)
        self._mesh_model = MeshModel()
        self._person_model = PersonModel()

    @cached_property
    def _full_range_in_two_threads(self) -> TwoScoresModel:
        return TwoScoresModel(_CLEAR_SCORE, _FAINT_SCORE, threads=2)

    # What runs later has its own models, because two threads cannot use the same one.
    @cached_property
    def _later_short_range(self) -> BoxModel:
        return BoxModel("ShortRange", _LOOK_SCORE)

    @cached_property
    def _later_mesh_model(self) -> MeshModel:
        return MeshModel()

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
        if not 1 <= crops <= len(CROP_VARIANTS):
            raise ValueError(f"crops must be 1 to {len(CROP_VARIANTS)}, not {crops}")
        if image.size == 0:
            return ()
        # Includes heads that are rolled too far, so that later searches skip them, too.
        faces: list[Face] = []
        for search in self._searches(image, faces):
            for candidate in search.candidates:
                if any(same_place(candidate.place.box, face.box) for face in faces):
                    continue
                # The short-range detector takes half the time of the mesh model.
                if search.first_look > 0.0 and self._first_look(image, candidate, search) < search.first_look:
                    continue
                face = self._face(image, candidate.place, crops, search.confirmed)
                if face is not None and not any(_same_face(face, other) for other in faces):
                    faces.append(face)
        faces.sort(key=lambda face: (-face.box.width * face.box.height, face.box.left, face.box.top))
        return tuple(face for face in faces if abs(around(face.landmarks).roll) <= _MOST_ROLL)

    def segment_person(self, image: Image) -> Mask:
        """Return the mask (H, W) float32 of people, 0 to 1.

        Raises
        ------
        ValueError
            If ``image`` is not an `Image`.
        """
        height, width = image.shape[:2]
        mask = self.coarse_person(image)
        if mask.shape != (height, width):
            # Linear interpolation keeps the range 0 to 1.
            mask = np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        return mask

    def coarse_person(self, image: Image) -> Mask:
        """Return a mask of people as `segment_person` does, but with a longest side of at most 512 pixels.

        It shows the whole picture, up to a pixel of the mask.

        Raises
        ------
        ValueError
            If ``image`` is not an `Image`.
        """
        check_image(image)
        height, width = image.shape[:2]
        if image.size == 0:
            return np.zeros((height, width), np.float32)
        small, _ = _part(image, (0, 0, width, height))
        return self._person_model(small)

    def _searches(self, image: Image, faces: Sequence[Face]) -> Iterator[_Search]:
        """Yield the searches.

        The caller adds the faces that it finds to ``faces`` during the iteration, because later searches
        depend on them.
        """
        small, whole = _part(image, (0, 0, image.shape[1], image.shape[0]))
        clear, faint = (without_duplicates(_candidates(found, whole)) for found in self._full_range(small))
        # Also in a portrait, because the box of a small face beside a large one is often faint.
        few = faint[:_MOST_FAINT]
        ahead = self._look_ahead(image, few, clear)
        yield _Search(clear)
        yield _Search(few, confirmed=_FAINT_CONFIRMED, first_look=_FIRST_LOOK, ahead=ahead)
        if not faces:
            close = _candidates(self._short_range(small), whole)
            yield _Search(_above(_SECOND_SEARCH_SCORE, close))
        for eighths in _TILE_EIGHTHS:
            if _is_portrait(image, faces):
                return
            parts = tiles(image.shape[0], image.shape[1], eighths)
            found = [one for tile in parts for one in self._faint_candidates(image, tile)]
            if faces:
                yield _Search(_above(_GROUP_SCORE, found), confirmed=_TILE_CONFIRMED)
            else:
                yield _Search(_above(_SECOND_SEARCH_SCORE, found), confirmed=_LOOK_SCORE)

    def _faint_candidates(self, image: Image, tile: Tile) -> list[Candidate]:
        small, shown = _part(image, tile)
        _, faint = self._full_range(small)
        return _candidates(faint, shown)

    def _full_range(self, small: Image) -> tuple[Sequence[FoundBox], Sequence[FoundBox]]:
        """Return the boxes of the full-range detector with a clear score, and those with a faint one."""
        # The rest of the detection needs the boxes, so nothing else can use a second thread in the meantime.
        if self._has_second_thread():
            return self._full_range_in_two_threads(small)
        return self._full_range_in_one_thread(small)

    def _look_ahead(
        self, image: Image, faint: Sequence[Candidate], clear: Sequence[Candidate]
    ) -> Mapping[Candidate, Callable[[], float]]:
        """Return functions for the scores of faint candidates that are not at the place of a clear one.

        Most clear candidates are faces, so the faint candidates at their places will be skipped.
        """
        apart = [
            one for one in faint if not any(same_place(one.place.box, other.place.box) for other in clear)
        ]
        return {
            one: self._later(partial(self._score, image, one.place, self._later_short_range))
            for one in apart[:_MOST_AHEAD]
        }

    def _first_look(self, image: Image, candidate: Candidate, search: _Search) -> float:
        """Return the short-range detector's score for an upright face at a candidate's own place, or 0."""
        ahead = search.ahead.get(candidate)
        return self._score(image, candidate.place, self._short_range) if ahead is None else ahead()

    def _face(self, image: Image, found: Place, crops: int, confirmed: float) -> Face | None:
        """Return the face at a candidate's place, or None if there is none."""
        part = surroundings(image, found)
        landmarks = _landmarks(part, found, PLAIN, self._mesh_model)
        if landmarks is None or overlap(box_around(landmarks), found.box) <= _SAME_PLACE_IOU:
            return None
        # Detect again in a crop around the landmarks, because the landmarks are more reliable than the
        # detector's box. Compared with the first landmarks, the new ones depend half as much on the position
        # and the size of the face in the picture.
        place = around(landmarks)
        part = surroundings(image, place)
        # Most heads are upright, so do not wait for this before the next use of the mesh model.
        turning = self._later(partial(_upright, part, place, self._later_short_range))
        variants = (PLAIN,) if crops == 1 else CROP_VARIANTS[:crops]
        closer = self._mean_landmarks(part, place, variants)
        upright, score = turning()
        if score < confirmed:
            return None
        if upright is not place:
            closer = self._mean_landmarks(surroundings(image, upright), upright, variants)
        landmarks = landmarks if closer is None else closer
        box = box_around(landmarks)
        # If the two models disagree about the roll, the head has an orientation that neither model supports.
        difference = turned(upright, -around(landmarks).roll).roll
        if min(box.width, box.height) < _LEAST_SIDE or abs(difference) > _UPRIGHT_ROLL:
            return None
        return Face(landmarks, box)

    def _score(self, image: Image, place: Place, short_range: BoxModel) -> float:
        """Return the score of ``short_range`` for an upright face at a place, or 0."""
        crop, _ = upright_crop(surroundings(image, place), place, LOOK_CROP)
        look = _look(crop, short_range)
        return 0.0 if look is None else look.score

    def _mean_landmarks(self, part: Part, place: Place, variants: Sequence[CropVariant]) -> Points3 | None:
        """Return the mean of the landmarks (478, 3) over crops, or None if no crop has a face."""
        first = variants[: (len(variants) + 1) // 2]

        def others() -> list[Points3 | None]:
            model = self._later_mesh_model
            return [_landmarks(part, place, variant, model) for variant in variants[len(first) :]]

        rest = self._later(others) if len(first) < len(variants) else list
        found = [_landmarks(part, place, variant, self._mesh_model) for variant in first]
        seen = [landmarks for landmarks in (*found, *rest()) if landmarks is not None]
        return np.mean(seen, axis=0) if seen else None


_MIRROR = np.array(MIRROR)


def _upright(part: Part, place: Place, short_range: BoxModel) -> tuple[Place, float]:
    """Return the place with the face's true roll, and the short-range detector's score for it.

    Return ``place`` itself if its roll is right, or if the detector sees no face in any orientation.
    """
    crop, _ = upright_crop(part, place, LOOK_CROP)
    looks = []
    for quarters in range(4):
        look = _look(np.rot90(crop, quarters), short_range)
        if look is None:
            continue
        if quarters == 0 and look.score >= _UPRIGHT_SCORE and abs(_roll(look)) <= _UPRIGHT_ROLL:
            return place, look.score
        looks.append((look.score, quarters * np.pi / 2 + _roll(look)))
    score, roll = max(looks, default=(0.0, 0.0))
    return (place if abs(roll) <= _UPRIGHT_ROLL else turned(place, roll)), score


def _look(crop: Image, short_range: BoxModel) -> FoundBox | None:
    """Return the box with the highest score of the short-range detector in the middle of a crop."""
    near = [
        box
        for box in short_range(crop)
        if max(abs(box.left + box.width / 2 - 0.5), abs(box.top + box.height / 2 - 0.5)) < 0.25
    ]
    return max(near, key=lambda box: box.score, default=None)


def _landmarks(part: Part, place: Place, variant: CropVariant, model: MeshModel) -> Points3 | None:
    """Return the landmarks (478, 3) in a crop, in pixels of the picture, or None if there is no face."""
    crop, to_image = upright_crop(part, moved(place, variant), MESH_CROP)
    if variant.mirrored:
        crop = np.asarray(cv2.flip(crop, 1), np.uint8)
    normalised = model(crop)
    if normalised is None:
        return None
    if variant.mirrored:
        normalised = normalised[_MIRROR]
        normalised[:, 0] = 1.0 - normalised[:, 0]
    return in_image(normalised, to_image)


def _same_face(first: Face, second: Face) -> bool:
    """Whether two faces are the same, or the smaller one is a part of the larger one."""
    small, large = sorted((first, second), key=lambda face: face.box.width * face.box.height)
    return same_place(small.box, large.box) or shows_part(small.box, large.landmarks)


def _is_portrait(image: Image, faces: Sequence[Face]) -> bool:
    """Whether exactly one face was found, and this face is not small."""
    return len(faces) == 1 and faces[0].box.width >= _PORTRAIT * max(image.shape[:2])


def _above(score: float, candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates with at least this score, the highest first, without duplicates."""
    return without_duplicates([candidate for candidate in candidates if candidate.score >= score])


def _part(image: Image, tile: Tile) -> tuple[Image, Tile]:
    """Return a tile of a picture, reduced for the detectors, and the part of the tile that is shown.

    The last columns and rows are not shown if they do not fill a square of the first reduction.
    """
    left, top, width, height = tile
    factor = 1
    while max(width, height) >= 2 * factor * _DETECTION_SIDE and min(width, height) >= 2 * factor:
        factor *= 2
    width, height = width // factor * factor, height // factor * factor
    small = reduced(image[top : top + height, left : left + width], factor)
    rest = _DETECTION_SIDE / max(small.shape[:2])
    if rest < 1.0:
        size = max(1, round(small.shape[1] * rest)), max(1, round(small.shape[0] * rest))
        # Down to half the size, bilinear interpolation averages well enough, and is eight times as fast.
        small = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.ascontiguousarray(small), (left, top, width, height)


def _candidates(boxes: Iterable[FoundBox], tile: Tile) -> list[Candidate]:
    """Return the boxes that were found in a tile, in pixels of the whole picture."""
    left, top, width, height = tile
    return [
        Candidate(
            Place(
                Box(
                    left + found.left * width - 0.5,
                    top + found.top * height - 0.5,
                    found.width * width,
                    found.height * height,
                ),
                _roll(found, width, height),
            ),
            found.score,
        )
        for found in boxes
    ]


def _roll(found: FoundBox, width: float = 1.0, height: float = 1.0) -> float:
    """Return the roll of the eye line in radians. ``found`` has fractions of ``width`` and ``height``."""
    right_eye, left_eye = found.right_eye, found.left_eye
    return float(np.arctan2((left_eye[1] - right_eye[1]) * height, (left_eye[0] - right_eye[0]) * width))
