from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from threading import Thread

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from emulator.face.background import person_share
from emulator.face.detection import MediaPipeDetector
from emulator.face.displacement import DisplacementField
from emulator.face.head_frame import head_frame
from emulator.face.landmarks import FACE_OVAL
from emulator.face.reshape import displaced_landmarks, reshape_field
from emulator.face.reshape_parameters import ONE_SIDED, ReshapeParameters
from emulator.face.synthetic import Background, HairType, SyntheticFaceSpec, render_face
from emulator.face.types import Image, Mask, Points3
from emulator.face.warp import Share, warp_cutout, warp_image
from laboratory.background import drawn_person, line_motion

NAMES = tuple(field.name for field in fields(ReshapeParameters))
ENDS = [(name, end) for name in NAMES for end in ((1.0,) if name in ONE_SIDED else (-1.0, 1.0))]
FAR_REACHING = [
    (name, end)
    for name, end in ENDS
    if name.startswith(("face_", "jaw", "cheek", "chin_")) or (name, end) == ("eye_distance", 1.0)
]
SMALLEST = {name: (1.0 if name in ONE_SIDED else -1.0) for name in NAMES}
LARGEST = {name: (0.0 if name in ONE_SIDED else 1.0) for name in NAMES}
NARROWER = ({"face_width": -1.0}, {"jaw": 1.0}, {"cheekbones": 1.0}, {"chin_length": -1.0})


@pytest.fixture(scope="module")
def detector() -> MediaPipeDetector:
    return MediaPipeDetector()


@pytest.fixture(scope="module")
def image() -> Image:
    astronaut: Callable[[], Image] = skimage.data.astronaut
    return astronaut()


@pytest.fixture(scope="module")
def landmarks(image: Image, detector: MediaPipeDetector) -> Points3:
    return detector.detect(image)[0].landmarks


def field_of(image: Image, landmarks: Points3, values: dict[str, float]) -> DisplacementField:
    return reshape_field(landmarks, ReshapeParameters(**values), (image.shape[0], image.shape[1]))


def share_of(
    image: Image, landmarks: Points3, field: DisplacementField, detector: MediaPipeDetector
) -> Share:
    share = person_share(image, landmarks, field, detector.segment_person)
    assert share is not None
    return share


def displacement(field: DisplacementField, share: Share) -> NDArray[np.float32]:
    height, width = field.shape
    return field.dense() * share.sampled(np.arange(width), np.arange(height))[:, :, None]


# Each backdrop differs from the person's skin and hair, so the mask is not in doubt.
@pytest.mark.parametrize(
    ("seed", "hair", "background", "yaw"),
    [
        (40, "short_straight", "studio", -12),
        (43, "long_wavy", "outdoors", -12),
        (47, "bald", "outdoors", 0),
    ],
)
def test_a_line_beside_the_head_stays(
    detector: MediaPipeDetector, seed: int, hair: HairType, background: Background, yaw: float
) -> None:
    spec = SyntheticFaceSpec(seed=seed, hair_type=hair, background=background, yaw=yaw, width=640, height=640)
    image, person = drawn_person(spec)
    landmarks = detector.detect(image)[0].landmarks
    unit = head_frame(landmarks).unit
    for name, end in FAR_REACHING:
        field = field_of(image, landmarks, {name: end})
        kept = line_motion(
            person, landmarks, unit, field, person_share(image, landmarks, field, detector.segment_person)
        )
        # A wider face comes close to the line, the outline of the mask is not exact, and the strip in which
        # the share falls must not be so narrow that it folds.
        widens = end > 0 and name.startswith(("face_", "chin_"))
        assert kept.pixels.max() < (1.8 if widens else 0.6), (name, end)
        assert (kept.pixels > 0.5).mean() < (0.13 if widens else 0.01), (name, end)


def test_the_person_moves_as_without_a_share(
    image: Image, landmarks: Points3, detector: MediaPipeDetector
) -> None:
    for values in (SMALLEST, LARGEST):
        field = field_of(image, landmarks, values)
        share = share_of(image, landmarks, field, detector)
        moved = displaced_landmarks(landmarks, ReshapeParameters(**values))[:, :2]
        shares = [
            float(share.sampled(np.array([x]), np.array([y]))[0, 0])
            for x, y in moved - 0.02 * (moved - moved[1])
        ]
        assert min(shares) > 0.999
        # Hair, neck and shoulders belong to the person, too.
        below = landmarks[152, :2] + (0.0, 0.2 * head_frame(landmarks).unit)
        assert share.sampled(below[:1], below[1:]) == pytest.approx(1.0)


def smallest_jacobian(moved: NDArray[np.float64]) -> float:
    """Return the smallest Jacobian determinant of displacements (H, W, 2), at any corner of any cell."""
    across, down = np.diff(moved, axis=1), np.diff(moved, axis=0)
    return min(
        float(((1 + u[..., 0]) * (1 + v[..., 1]) - u[..., 1] * v[..., 0]).min())
        for u in (across[:-1], across[1:])
        for v in (down[:, :-1], down[:, 1:])
    )


@pytest.mark.parametrize("values", [SMALLEST, LARGEST, *NARROWER, {"face_width": 1.0}])
def test_nothing_folds(
    image: Image, landmarks: Points3, detector: MediaPipeDetector, values: dict[str, float]
) -> None:
    field = field_of(image, landmarks, values)
    moved = displacement(field, share_of(image, landmarks, field, detector)).astype(np.float64)
    assert smallest_jacobian(moved) > 0.0


@pytest.mark.parametrize("seed", [40, 41, 43])
def test_no_combination_folds_or_moves_all_of_the_background(detector: MediaPipeDetector, seed: int) -> None:
    picture = render_face(SyntheticFaceSpec(seed=seed, width=400, height=400)).image
    face = detector.detect(picture)[0].landmarks
    rng = np.random.default_rng(seed)
    for number in range(8):
        values = {
            name: float(rng.choice(ends) if number % 2 else rng.uniform(*ends))
            for name in NAMES
            for ends in [(0.0, 1.0) if name in ONE_SIDED else (-1.0, 1.0)]
        }
        field = field_of(picture, face, values)
        share = share_of(picture, face, field, detector)
        assert share.values.min() == 0.0
        assert smallest_jacobian(displacement(field, share).astype(np.float64)) > 0.0


def test_pixels_without_a_share_equal_the_input(
    image: Image, landmarks: Points3, detector: MediaPipeDetector
) -> None:
    field = field_of(image, landmarks, LARGEST)
    share = share_of(image, landmarks, field, detector)
    height, width = field.shape
    alone = share.sampled(np.arange(width), np.arange(height)) == 0
    # The lattice of the resampling mixes the shares of neighbours.
    alone = cv2.erode(alone.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    moves = np.linalg.norm(field.dense(), axis=2) > 0.5
    assert (alone & moves).sum() > 500
    warped = warp_image(image, field, share)
    assert np.array_equal(warped[alone], image[alone])
    assert (warp_image(image, field)[alone & moves] != image[alone & moves]).any(axis=1).mean() > 0.5
    opaque = np.full(field.shape, 200, np.uint8)
    cutout, alpha = warp_cutout(image, opaque, field, share)
    assert np.array_equal(cutout[alone], image[alone])
    assert np.array_equal(alpha, opaque)


def test_fields_that_end_inside_the_face_need_no_segmentation(image: Image, landmarks: Points3) -> None:
    def refuse(_: Image) -> Mask:
        raise AssertionError("must not be called")

    for name in ("nose_tip", "nose_bridge_width", "lip_peak", "eye_angle"):
        assert person_share(image, landmarks, field_of(image, landmarks, {name: 1.0}), refuse) is None
    assert person_share(image, landmarks, field_of(image, landmarks, {}), refuse) is None


def test_a_field_for_another_picture_is_refused(
    image: Image, landmarks: Points3, detector: MediaPipeDetector
) -> None:
    field = field_of(image, landmarks, LARGEST)
    with pytest.raises(ValueError, match="the field is for"):
        person_share(image[1:], landmarks, field, detector.segment_person)


def test_a_mask_without_the_face_changes_nothing(image: Image, landmarks: Points3) -> None:
    field = field_of(image, landmarks, LARGEST)

    def nobody(part: Image) -> Mask:
        return np.zeros(part.shape[:2], np.float32)

    assert person_share(image, landmarks, field, nobody) is None


def test_where_the_mask_is_in_doubt_the_whole_field_is_used(
    image: Image, landmarks: Points3, detector: MediaPipeDetector
) -> None:
    field = field_of(image, landmarks, {"face_width": 1.0})
    middle = landmarks[1, 0]
    left = landmarks[list(FACE_OVAL), 0].min()

    def half_sure(part: Image) -> Mask:
        mask = detector.segment_person(part).copy()
        columns = np.arange(part.shape[1]) < 0.4 * part.shape[1]
        mask[:, columns] = np.where(mask[:, columns] < 0.5, 0.5, mask[:, columns])
        return mask

    sure = share_of(image, landmarks, field, detector)
    doubting = person_share(image, landmarks, field, half_sure)
    assert doubting is not None
    rows = np.arange(int(landmarks[10, 1]), int(landmarks[152, 1]))
    beside = np.arange(int(left - 0.5 * head_frame(landmarks).unit), int(left))
    assert sure.sampled(beside, rows).min() == 0
    assert doubting.sampled(beside, rows).min() == 1
    # The other side is not in doubt.
    other = np.arange(int(middle), image.shape[1])
    assert doubting.sampled(other, rows) == pytest.approx(sure.sampled(other, rows), abs=1e-6)


def test_the_same_picture_gives_the_same_share_in_any_thread(
    image: Image, landmarks: Points3, detector: MediaPipeDetector
) -> None:
    field = field_of(image, landmarks, SMALLEST)
    expected = share_of(image, landmarks, field, detector)
    found: list[Share] = []

    def work() -> None:
        found.append(share_of(image, landmarks, field, MediaPipeDetector()))

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert np.array_equal(found[0].values, expected.values)
    assert found[0].origin == expected.origin
