from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from skimage import data

from emulator.face import landmarks as lm
from emulator.face.candidates import overlap
from emulator.face.detection import Face, MediaPipeDetector
from emulator.face.landmarks import LANDMARK_COUNT, SURFACE_COUNT, mirrored_landmarks
from emulator.face.mediapipe_models import face_mesh_edges
from emulator.face.synthetic import SyntheticFaceSpec, render_face, render_people
from emulator.face.types import Image, Points3


@pytest.fixture(scope="module")
def detector() -> MediaPipeDetector:
    return MediaPipeDetector()


@pytest.fixture(scope="module")
def photo() -> Image:
    return np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def face(detector: MediaPipeDetector, photo: Image) -> Face:
    (found,) = detector.detect(photo)
    return found


def distance_in_widths(found: Points3, expected: Points3) -> float:
    """Return the root mean square distance in the picture, as a fraction of the face's width."""
    width = np.ptp(expected[:, 0])
    return float(np.sqrt(((found - expected)[:, :2] ** 2).sum(axis=1).mean()) / width)


def test_the_box_lies_around_the_landmarks(face: Face) -> None:
    assert face.landmarks.shape == (LANDMARK_COUNT, 3)
    assert (face.box.left, face.box.top) == tuple(face.landmarks[:, :2].min(axis=0))
    right_bottom = (face.box.left + face.box.width, face.box.top + face.box.height)
    np.testing.assert_allclose(right_bottom, face.landmarks[:, :2].max(axis=0))


def test_the_persons_left_is_on_the_pictures_right_and_the_nose_is_nearest(face: Face) -> None:
    points = face.landmarks
    assert points[lm.LEFT_EYE_OUTER_CORNER, 0] > points[lm.RIGHT_EYE_OUTER_CORNER, 0]
    assert points[lm.CHIN_TIP, 1] > points[lm.NOSE_TIP, 1] > points[lm.RIGHT_EYE_INNER_CORNER, 1]
    assert points[:, 2].argmin() in (1, lm.NOSE_TIP)


def test_the_irises_lie_on_the_pupils(photo: Image, face: Face) -> None:
    # The pupil is the darkest spot within the opening of the eye.
    for iris, ring in ((lm.RIGHT_IRIS, lm.RIGHT_EYE), (lm.LEFT_IRIS, lm.LEFT_EYE)):
        mask = np.zeros(photo.shape[:2], np.uint8)
        opening = np.rint(face.landmarks[list(ring), :2]).astype(np.int32)
        cv2.fillConvexPoly(mask, opening, (255,))
        grey = cv2.GaussianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), (0, 0), 1.5)
        row, column = np.unravel_index(np.where(mask > 0, grey, 255).argmin(), grey.shape)
        radius = np.ptp(face.landmarks[list(iris), 0]) / 2
        assert np.hypot(*(face.landmarks[iris[0], :2] - (column, row))) < 1.5 * radius


def test_the_result_does_not_depend_on_earlier_pictures(
    detector: MediaPipeDetector, photo: Image, face: Face
) -> None:
    before = photo.copy()
    detector.detect(photo[::2, ::2])
    (again,) = detector.detect(photo)
    (fresh,) = MediaPipeDetector().detect(photo)
    np.testing.assert_array_equal(again.landmarks, face.landmarks)
    np.testing.assert_array_equal(fresh.landmarks, face.landmarks)
    assert again.box == fresh.box == face.box
    np.testing.assert_array_equal(photo, before)


def test_a_numpy_view_gives_the_same_result_as_a_copy(detector: MediaPipeDetector, photo: Image) -> None:
    view = photo[:, ::-1]
    (seen,) = detector.detect(view)
    (copied,) = detector.detect(np.ascontiguousarray(view))
    np.testing.assert_array_equal(seen.landmarks, copied.landmarks)


def test_a_mirrored_picture_gives_the_mirrored_landmarks(
    detector: MediaPipeDetector, photo: Image, face: Face
) -> None:
    (image,) = detector.detect(photo[:, ::-1])
    assert distance_in_widths(mirrored_landmarks(image.landmarks, photo.shape[1]), face.landmarks) < 0.015


@pytest.mark.parametrize("factor", [0.5, 2, 4])
def test_landmarks_scale_with_the_picture(
    detector: MediaPipeDetector, photo: Image, face: Face, factor: float
) -> None:
    scaled = np.asarray(cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    (found,) = detector.detect(scaled)
    # Pixel centres lie at integers, so the picture's corner is at -0.5.
    expected = face.landmarks * factor
    expected[:, :2] += (factor - 1) / 2
    assert distance_in_widths(found.landmarks, expected) < 0.01
    assert np.ptp(found.landmarks[:, 2]) == pytest.approx(np.ptp(expected[:, 2]), rel=0.05)


@pytest.mark.parametrize("angle_deg", [-45, -20, 20, 45])
def test_rolled_heads_are_found_as_well(
    detector: MediaPipeDetector, photo: Image, face: Face, angle_deg: float
) -> None:
    centre = face.landmarks[:, :2].mean(axis=0)
    turn = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), angle_deg, 1.0)
    rolled = cv2.warpAffine(photo, turn, photo.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    (found,) = detector.detect(np.asarray(rolled, np.uint8))
    expected = face.landmarks.copy()
    expected[:, :2] = face.landmarks[:, :2] @ turn[:, :2].T + turn[:, 2]
    assert distance_in_widths(found.landmarks, expected) < 0.012


def roll_deg(face: Face) -> float:
    across = face.landmarks[lm.LEFT_EYE_OUTER_CORNER] - face.landmarks[lm.RIGHT_EYE_OUTER_CORNER]
    return float(np.degrees(np.arctan2(across[1], across[0])))


def rotated(image: Image, clockwise_deg: float) -> Image:
    """Return the picture rotated about its centre, large enough for all of it."""
    height, width = image.shape[:2]
    side = int(np.hypot(height, width))
    turn = np.array(cv2.getRotationMatrix2D((width / 2, height / 2), -clockwise_deg, 1.0), np.float64)
    turn[:, 2] += (side - width) / 2, (side - height) / 2
    return np.asarray(cv2.warpAffine(image, turn, (side, side), borderMode=cv2.BORDER_REFLECT), np.uint8)


@cache
def portraits() -> list[Image]:
    drawn = [
        render_face(SyntheticFaceSpec(seed=seed, yaw=yaw, width=256, height=256)).image
        for seed, yaw in ((80_004, 25), (80_057, -20), (80_131, 10), (80_066, 0))
    ]
    astronaut = np.asarray(data.astronaut()[:300, 80:380], np.uint8)  # type: ignore[no-untyped-call]
    return [astronaut, *drawn]


@pytest.mark.parametrize("number", range(5))
def test_heads_are_found_up_to_a_roll_of_60_degrees_and_never_with_a_wrong_roll(
    detector: MediaPipeDetector, number: int
) -> None:
    """The mesh model alone would find upside down faces, too, and take them for upright ones."""
    image = portraits()[number]
    (upright,) = detector.detect(image)
    for angle_deg in range(0, 360, 36):
        expected = (roll_deg(upright) + angle_deg + 180) % 360 - 180
        found = detector.detect(rotated(image, angle_deg))
        if abs(expected) < 50:
            assert len(found) == 1, angle_deg
        for face in found:
            assert abs(expected) < 75, angle_deg
            assert roll_deg(face) == pytest.approx(expected, abs=10)


@pytest.mark.parametrize("seed", [10, 25])
def test_the_next_search_runs_if_the_mesh_model_rejects_all_candidates(
    detector: MediaPipeDetector, seed: int
) -> None:
    """The first search returns a wrong box. One seed's face is found in four parts, the other's in nine."""
    drawn = render_face(
        SyntheticFaceSpec(seed=seed, yaw=20, width=512, height=512, face_fraction=0.05, skin_tone=10)
    )
    (found,) = detector.detect(np.asarray(drawn.image // 2, np.uint8))
    assert distance_in_widths(found.landmarks[:SURFACE_COUNT], drawn.landmarks) < 0.1


def test_small_faces_are_found_and_the_largest_comes_first(
    detector: MediaPipeDetector, photo: Image, face: Face
) -> None:
    # The small face is 1/14 of the picture's side. A short-range detector finds neither face.
    scene = np.full((512, 900, 3), 127, np.uint8)
    scene[100:458, 0:358] = cv2.resize(photo, (358, 358), interpolation=cv2.INTER_AREA)
    scene[:, 388:] = photo
    large, small = detector.detect(scene)
    assert distance_in_widths(large.landmarks, face.landmarks + np.array([388, 0, 0])) < 0.015
    expected = face.landmarks * (358 / 512)
    expected[:, :2] += (358 / 512 - 1) / 2 + np.array([0, 100])
    assert distance_in_widths(small.landmarks, expected) < 0.015


def group(seed: int, count: int, widths: tuple[float, float]) -> list[SyntheticFaceSpec]:
    """Return people in rows, the smallest behind. The heads of neighbours touch or overlap a little."""
    rng = np.random.default_rng(seed)
    sizes = np.sort(rng.uniform(*widths, count))
    rows = np.array_split(sizes, -(-count // 6))
    specs = []
    for row, row_sizes in enumerate(rows):
        space = (0.96 - row_sizes.sum()) / len(row_sizes)
        left = 0.02 + rng.uniform(0.0, space / 2)
        for size in row_sizes.tolist():
            specs.append(
                SyntheticFaceSpec(
                    seed=int(rng.integers(1_000_000)),
                    yaw=float(rng.uniform(-30, 30)),
                    pitch=float(rng.uniform(-10, 10)),
                    roll=float(rng.uniform(-20, 20)),
                    width=480,
                    height=480,
                    face_fraction=size,
                    center=(left + size / 2, 0.12 + 0.7 * row / max(1, len(rows) - 1) + rng.uniform(0, 0.03)),
                )
            )
            left += size + rng.uniform(0.0, space)
    return specs


@pytest.mark.parametrize(("seed", "count", "widths"), [(1, 6, (0.1, 0.18)), (3, 20, (0.05, 0.14))])
def test_everybody_in_a_group_is_found_once(
    detector: MediaPipeDetector, seed: int, count: int, widths: tuple[float, float]
) -> None:
    people = render_people(group(seed, count, widths))
    found = detector.detect(people[0].image)
    assert len(found) == count
    for person in people:
        assert sum(overlap(face.box, person.box) > 0.4 for face in found) == 1
    areas = [face.box.width * face.box.height for face in found]
    assert areas == sorted(areas, reverse=True)


@pytest.mark.parametrize(
    ("seeds", "right", "down"),
    [((40, 47), 0.2, 0.2), ((40, 47), 0.24, 0.18), ((43, 41), 0.2, 0.2), ((60, 61), -0.2, 0.26)],
)
def test_a_small_face_in_front_of_a_large_one_is_found(
    detector: MediaPipeDetector, seeds: tuple[int, int], right: float, down: float
) -> None:
    """More than a third of the small face's box is inside the box of the large face."""
    large = SyntheticFaceSpec(
        seed=seeds[0],
        width=640,
        height=640,
        face_fraction=0.45,
        center=(0.45, 0.4),
        hair_type="short_straight",
    )
    center = 0.45 + right, 0.4 + down
    small = replace(large, seed=seeds[1], face_fraction=0.16, center=center, hair_type="bald")
    people = render_people([large, small])
    found = detector.detect(people[0].image)
    assert len(found) == 2
    for face, person in zip(found, people, strict=True):
        assert overlap(face.box, person.box) > 0.4


def test_a_spacesuit_beside_a_face_is_not_detected_as_a_face(
    detector: MediaPipeDetector, photo: Image
) -> None:
    """A tile of the picture has a candidate with a score of 0.67."""
    assert len(detector.detect(photo)) == 1


def test_a_face_cut_off_by_the_pictures_edge_is_found(
    detector: MediaPipeDetector, photo: Image, face: Face
) -> None:
    cut = int(face.landmarks[lm.NOSE_TIP, 0] + face.box.width * 0.25)
    (found,) = detector.detect(photo[:, :cut])
    assert found.box.left + found.box.width > cut
    # The visible side of the face is found at its original position.
    side = list(lm.RIGHT_EYE)
    assert distance_in_widths(found.landmarks[side], face.landmarks[side]) < 0.1


def test_a_face_that_fills_the_picture_is_found(
    detector: MediaPipeDetector, photo: Image, face: Face
) -> None:
    top, left = int(face.box.top), int(face.box.left)
    close = photo[top : top + int(face.box.height), left : left + int(face.box.width)]
    (found,) = detector.detect(close)
    assert distance_in_widths(found.landmarks + np.array([left, top, 0]), face.landmarks) < 0.03


@pytest.mark.parametrize("shape", [(0, 0, 3), (1, 1, 3), (3, 900, 3), (300, 400, 3)])
def test_no_face_is_found_in_pictures_of_nothing(
    detector: MediaPipeDetector, shape: tuple[int, int, int]
) -> None:
    ramp = np.linspace(0, 255, num=shape[0] * shape[1] * 3).reshape(shape).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for image in (ramp, noise, np.zeros(shape, np.uint8)):
        assert detector.detect(image) == ()
        mask = detector.segment_person(image)
        assert mask.shape == shape[:2]
        assert mask.dtype == np.float32


@pytest.mark.parametrize("seed", range(1000, 1008))
def test_no_face_is_found_in_noise(detector: MediaPipeDetector, seed: int) -> None:
    """The noise of seed 1002 contains a few pixels that look like a face."""
    noise = np.random.default_rng(seed).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    assert detector.detect(noise) == ()


def test_the_person_is_separated_from_the_background(
    detector: MediaPipeDetector, photo: Image, face: Face
) -> None:
    mask = detector.segment_person(photo)
    assert mask.shape == photo.shape[:2]
    assert mask.dtype == np.float32
    assert 0 <= mask.min() < mask.max() <= 1
    columns, rows = np.rint(face.landmarks[:, :2]).astype(int).T
    # A few landmarks are under the hair.
    assert (mask[rows, columns] > 0.9).mean() > 0.97
    # The flag in the upper left corner is not part of the person.
    assert mask[:100, :60].max() < 0.1
    np.testing.assert_array_equal(detector.segment_person(photo), mask)


def test_the_mask_has_the_pictures_size_however_large(detector: MediaPipeDetector, photo: Image) -> None:
    large = np.asarray(cv2.resize(photo, (1500, 1300)), np.uint8)
    mask = detector.segment_person(large)
    assert mask.shape == (1300, 1500)
    small = cv2.resize(mask, photo.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small - detector.segment_person(photo)).mean() < 0.02


def test_other_arrays_are_refused(detector: MediaPipeDetector) -> None:
    with pytest.raises(ValueError, match="uint8"):
        detector.detect(np.zeros((8, 8, 3)))  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(ValueError, match="RGB"):
        detector.segment_person(np.zeros((8, 8), np.uint8))


def test_the_mesh_edges_are_sorted_and_unique() -> None:
    edges = face_mesh_edges()
    assert edges.dtype == np.int32
    assert (edges[:, 0] < edges[:, 1]).all()
    assert len({tuple(edge) for edge in edges.tolist()}) == len(edges) == 1322


def test_the_mean_of_several_crops_is_more_stable_than_one_crop(
    detector: MediaPipeDetector, photo: Image
) -> None:
    def unsteadiness(crops: int) -> float:
        (plain,) = detector.detect(photo, crops=crops)
        (moved,) = detector.detect(np.ascontiguousarray(photo[11:, 7:]), crops=crops)
        (mirrored,) = detector.detect(np.ascontiguousarray(photo[:, ::-1]), crops=crops)
        back = mirrored_landmarks(mirrored.landmarks, photo.shape[1])
        there = moved.landmarks + np.array([7.0, 11.0, 0.0])
        return distance_in_widths(there, plain.landmarks) + distance_in_widths(back, plain.landmarks)

    assert unsteadiness(4) < 0.7 * unsteadiness(1)


def test_a_number_of_crops_out_of_range_is_refused(detector: MediaPipeDetector, photo: Image) -> None:
    for crops in (0, 5):
        with pytest.raises(ValueError, match="crops"):
            detector.detect(photo, crops=crops)
