from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from emulator.face.landmarks import LEFT_EYE_OUTER_CORNER, RIGHT_EYE_OUTER_CORNER
from emulator.face.mediapipe_models import BoxModel, MeshModel, PersonModel, TwoScoresModel
from emulator.face.types import Image

# The astronaut's face in the picture, in pixels: centre and width of the detector's box.
FACE, WIDTH = (225, 120), 100


@pytest.fixture(scope="module")
def photo() -> Image:
    return np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call] # no stubs


def crop_around_the_face(photo: Image, boxes: float = 2.0) -> Image:
    (column, row), half = FACE, round(WIDTH * boxes / 2)
    return np.ascontiguousarray(photo[row - half : row + half, column - half : column + half])


def test_a_box_is_in_fractions_of_the_picture(photo: Image) -> None:
    (box,) = BoxModel("FullRange", 0.6)(photo)
    assert box.left + box.width / 2 == pytest.approx(FACE[0] / 512, abs=0.02)
    assert box.top + box.height / 2 == pytest.approx(FACE[1] / 512, abs=0.02)
    assert box.width == pytest.approx(WIDTH / 512, abs=0.03)
    assert box.right_eye[0] < box.left_eye[0]
    assert 0.6 <= box.score <= 1.0
    (wide,) = BoxModel("FullRange", 0.6)(np.concatenate([photo, np.zeros_like(photo)], axis=1))
    assert wide.left + wide.width / 2 == pytest.approx(FACE[0] / 1024, abs=0.02)
    assert wide.top + wide.height / 2 == pytest.approx(FACE[1] / 512, abs=0.03)


def test_the_lowest_score_decides_which_boxes_are_returned(photo: Image) -> None:
    clear, faint = (BoxModel("FullRange", score)(photo) for score in (0.6, 0.03))
    assert len(faint) > len(clear) == 1
    assert min(box.score for box in faint) >= 0.03
    assert max(box.score for box in faint) == pytest.approx(clear[0].score, abs=0.05)


@pytest.mark.parametrize("threads", [1, 2])
def test_two_scores_with_one_inference_give_the_boxes_of_two_models(photo: Image, threads: int) -> None:
    both = TwoScoresModel(0.6, 0.03, threads)
    clear, faint = BoxModel("FullRange", 0.6), BoxModel("FullRange", 0.03)
    pictures = [photo, photo[:300, 100:400], photo[:, ::-1], np.zeros((40, 90, 3), np.uint8), photo]
    for picture in map(np.ascontiguousarray, pictures):
        assert both(picture) == (clear(picture), faint(picture))


def test_the_short_range_detector_finds_only_close_faces(photo: Image) -> None:
    short = BoxModel("ShortRange", 0.5)
    (box,) = short(crop_around_the_face(photo))
    assert box.left + box.width / 2 == pytest.approx(0.5, abs=0.05)
    far = np.zeros((2048, 2048, 3), np.uint8)
    far[:512, :512] = photo
    assert short(far) == []


def test_landmarks_are_fractions_of_the_crop(photo: Image) -> None:
    landmarks = MeshModel()(crop_around_the_face(photo, 1.5))
    assert landmarks is not None
    assert landmarks.shape == (478, 3)
    assert 0.1 < landmarks[:, :2].min() < landmarks[:, :2].max() < 0.9
    assert landmarks[RIGHT_EYE_OUTER_CORNER, 0] < 0.5 < landmarks[LEFT_EYE_OUTER_CORNER, 0]


def test_there_are_no_landmarks_without_a_face() -> None:
    assert MeshModel()(np.full((256, 256, 3), 127, np.uint8)) is None


@pytest.mark.parametrize("shape", [(512, 512), (90, 256)])
def test_the_mask_has_the_size_of_the_picture(photo: Image, shape: tuple[int, int]) -> None:
    mask = PersonModel()(np.ascontiguousarray(photo[: shape[0], : shape[1]]))
    assert mask.shape == shape
    assert mask.dtype == np.float32
    assert 0.0 <= mask.min() <= mask.max() <= 1.0


def test_a_model_does_not_remember_the_last_picture(photo: Image) -> None:
    crop, mesh = crop_around_the_face(photo, 1.5), MeshModel()
    first = mesh(crop)
    assert mesh(np.zeros_like(crop)) is None
    again = mesh(crop)
    assert first is not None
    assert again is not None
    np.testing.assert_array_equal(first, again)
