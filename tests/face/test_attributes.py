from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
import skimage.data

from emulator.face.appearance import Attributes
from emulator.face.attributes import blink_correction, face_attributes
from emulator.face.detection import MediaPipeDetector
from emulator.face.landmarks import (
    CHIN_TIP,
    LEFT_EYE,
    LEFT_JAW,
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    LIPS_OUTER,
    LOWER_LIP_OUTER,
    NOSE_BASE,
    NOSE_TIP,
    RIGHT_EYE,
    RIGHT_JAW,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    UPPER_LIP_OUTER,
)
from emulator.face.pose import Pose, rotation_matrix
from emulator.face.synthetic import SKIN_TONES, Expression, Gender, HairType, SyntheticFaceSpec, render_face
from emulator.face.types import Image, Mask, Points3


@pytest.fixture(scope="module")
def image() -> Image:
    astronaut: Callable[[], Image] = skimage.data.astronaut
    return astronaut()


@pytest.fixture(scope="module")
def found(image: Image) -> tuple[Points3, Mask]:
    detector = MediaPipeDetector()
    return detector.detect(image)[0].landmarks, detector.segment_person(image)


def kind(attributes: Attributes) -> tuple[str, str, str, bool]:
    return attributes.hair_length, attributes.hair_texture, attributes.gender, attributes.glasses


def recompressed(image: Image, quality: int) -> Image:
    done, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1]).astype(np.uint8)


def test_the_astronaut_is_described(image: Image, found: tuple[Points3, Mask]) -> None:
    attributes = face_attributes(image, *found)
    assert kind(attributes) == ("short", "wavy", "female", False)
    # Light skin and brown hair, as measured when the swatches were compared with the photograph.
    assert np.abs(attributes.skin_color.astype(int) - (215, 182, 157)).max() < 15
    assert np.abs(attributes.hair_color.astype(int) - (105, 83, 42)).max() < 25
    assert attributes.blink_correction == pytest.approx(1.0, abs=0.05)


def described(image: Image, person: Mask | None = None) -> Attributes:
    detector = MediaPipeDetector()
    (face,) = detector.detect(image)
    return face_attributes(
        image, face.landmarks, detector.segment_person(image) if person is None else person
    )


@cache
def drawn(spec: SyntheticFaceSpec) -> Image:
    return render_face(spec).image


def short_haired(seed: int) -> Image:
    """Return a picture to paint on."""
    return drawn(SyntheticFaceSpec(seed=seed, hair_type="short_straight", width=640, height=640)).copy()


@pytest.mark.parametrize("seed", [3, 64])
def test_clothes_with_the_colour_of_the_hair_do_not_count_as_hair(seed: int) -> None:
    image = short_haired(seed)
    plain = described(image)
    assert plain.hair_length == "short"
    (face,) = MediaPipeDetector().detect(image)
    person = MediaPipeDetector().segment_person(image)
    # Paint the turned-up collar of a coat, out to both edges of the picture.
    top = int(face.landmarks[NOSE_TIP, 1])
    left, right = (int(face.landmarks[index, 0]) for index in (RIGHT_JAW[3], LEFT_JAW[3]))
    for columns in (slice(None, left - 12), slice(right + 12, None)):
        image[top:, columns] = plain.hair_color
        person[top:, columns] = 1.0
    assert described(image, person).hair_length == "short"


@pytest.mark.parametrize("seed", [3, 64])
def test_a_background_with_the_colour_of_the_hair_does_not_count_as_hair(seed: int) -> None:
    image = short_haired(seed)
    plain = described(image)
    person = MediaPipeDetector().segment_person(image)
    background = (person < 0.05) & (np.arange(image.shape[1]) // 20 % 3 == 0)
    image[background] = plain.hair_color
    assert described(image, person).hair_length == plain.hair_length == "short"


@pytest.mark.parametrize("quality", [90, 60])
def test_recompression_changes_little(image: Image, found: tuple[Points3, Mask], quality: int) -> None:
    first = face_attributes(image, *found)
    again = face_attributes(recompressed(image, quality), *found)
    assert kind(again) == kind(first)
    assert np.abs(again.skin_color.astype(int) - first.skin_color).max() <= 4
    assert np.abs(again.hair_color.astype(int) - first.hair_color).max() <= 8


def test_size_and_tilt_change_little(image: Image, found: tuple[Points3, Mask]) -> None:
    landmarks, person = found
    first = face_attributes(image, landmarks, person)
    affine = cv2.getRotationMatrix2D((256.0, 200.0), 20, 1.6)
    # Keep all of the hair in the picture.
    affine = np.column_stack([affine[:, :2], affine[:, 2] + (60.0, 170.0)])
    turned = np.asarray(cv2.warpAffine(image, affine, (860, 900)), dtype=np.uint8)
    mask = np.asarray(cv2.warpAffine(person, affine, (860, 900)), dtype=np.float32)
    moved = np.column_stack([landmarks[:, :2] @ affine[:, :2].T + affine[:, 2], landmarks[:, 2] * 1.6])
    again = face_attributes(turned, moved, mask)
    assert kind(again) == kind(first)
    assert np.abs(again.skin_color.astype(int) - first.skin_color).max() <= 6
    assert np.abs(again.hair_color.astype(int) - first.hair_color).max() <= 12
    assert again.blink_correction == pytest.approx(first.blink_correction, abs=1e-9)


@pytest.mark.parametrize("side", ["left", "right", "below"])
def test_places_outside_the_picture_do_not_affect_the_colours(
    image: Image, found: tuple[Points3, Mask], side: str
) -> None:
    landmarks, person = found
    whole = face_attributes(image, *found)
    x, y = (int(value) for value in landmarks[NOSE_TIP, :2])
    rows, columns = {
        "left": (slice(None), slice(x, None)),
        "right": (slice(None), slice(None, x)),
        "below": (slice(None, y), slice(None)),
    }[side]
    moved = landmarks - (columns.start or 0, 0, 0)
    part = face_attributes(np.ascontiguousarray(image[rows, columns]), moved, person[rows, columns])
    # Light from one side makes one half of the face brighter by this much. Black would differ by over 150.
    assert np.abs(part.skin_color.astype(int) - whole.skin_color).max() <= 25
    assert np.abs(part.hair_color.astype(int) - whole.hair_color).max() <= 40


def test_without_the_face_in_the_picture_the_colours_are_those_around_it(found: tuple[Points3, Mask]) -> None:
    green = np.full((200, 200, 3), (20, 160, 40), np.uint8)
    beside = found[0] - found[0][[234, 454], :].mean(axis=0) + (-90, 100, 0)
    attributes = face_attributes(green, beside, np.zeros((200, 200), np.float32))
    assert attributes.skin_color.tolist() == attributes.hair_color.tolist() == [20, 160, 40]


def test_drawn_glasses_are_detected(image: Image, found: tuple[Points3, Mask]) -> None:
    landmarks, person = found
    worn = image.copy()
    unit = float(np.linalg.norm(landmarks[33] - landmarks[263]))
    centers = [landmarks[list(eye), :2].mean(axis=0) for eye in (LEFT_EYE, RIGHT_EYE)]
    radius = (round(0.26 * unit), round(0.2 * unit))
    for x, y in centers:
        cv2.ellipse(worn, (round(x), round(y)), radius, 0, 0, 360, (25, 20, 20), 2)
    middle = np.mean(centers, axis=0)
    cv2.line(
        worn,
        (round(middle[0] - 0.1 * unit), round(middle[1])),
        (round(middle[0] + 0.1 * unit), round(middle[1])),
        (25, 20, 20),
        2,
    )
    assert face_attributes(worn, landmarks, person).glasses


# Dark and light frames on all skin tones, in poses that move the sampled strips across bridge and cheek.
@pytest.mark.parametrize(
    ("seed", "yaw", "pitch"),
    [(900, 0, 0), (901, -30, 0), (902, 30, 0), (903, -15, 10), (904, 20, -10), (905, 0, 12), (906, 0, -12)],
)
def test_glasses_are_detected_on_turned_heads_and_not_on_faces_without(
    seed: int, yaw: float, pitch: float
) -> None:
    tone = 2 + seed % 4 if seed % 2 else 9
    spec = SyntheticFaceSpec(seed=seed, yaw=yaw, pitch=pitch, skin_tone=tone, width=480, height=480)
    worn, bare = (described(render_face(replace(spec, glasses=glasses)).image) for glasses in (True, False))
    assert (worn.glasses, bare.glasses) == (True, False)


def test_hair_painted_beside_the_neck_is_long_and_on_one_side_a_ponytail(
    image: Image, found: tuple[Points3, Mask]
) -> None:
    landmarks, person = found
    hair = face_attributes(image, landmarks, person).hair_color
    top, bottom = int(landmarks[234, 1]) - 25, int(landmarks[152, 1]) + 40
    strands = [slice(int(landmarks[234, 0]) - 22, int(landmarks[172, 0]) - 2)]
    strands.append(slice(int(landmarks[397, 0]) + 3, int(landmarks[454, 0]) + 22))
    kinds = []
    for count in (1, 2):
        painted, mask = image.copy(), person.copy()
        for strand in strands[:count]:
            painted[top:bottom, strand] = hair
            mask[top:bottom, strand] = 1.0
        kinds.append(face_attributes(painted, landmarks, mask).hair_length)
    assert kinds == ["ponytail", "long"]


def test_wider_open_eyes_have_a_larger_coefficient(found: tuple[Points3, Mask]) -> None:
    coefficients = []
    for opening in (0.0, 0.5, 1.0, 1.5, 3.0):
        landmarks = found[0].copy()
        for upper, lower in ((LEFT_UPPER_LID, LEFT_LOWER_LID), (RIGHT_UPPER_LID, RIGHT_LOWER_LID)):
            for a, b in zip(upper[1:-1], lower[1:-1], strict=True):
                middle = (landmarks[a] + landmarks[b]) / 2
                landmarks[a] = middle + (landmarks[a] - middle) * opening
                landmarks[b] = middle + (landmarks[b] - middle) * opening
        coefficients.append(blink_correction(landmarks))
    assert (np.diff(coefficients) > 0).all()
    assert 0.9 <= coefficients[0] < coefficients[2] < coefficients[-1] <= 1.1


@pytest.mark.parametrize("yaw", [-40.0, 20.0, 40.0])
def test_the_blink_coefficient_does_not_depend_on_the_pose(found: tuple[Points3, Mask], yaw: float) -> None:
    landmarks = found[0]
    turned = landmarks @ rotation_matrix(Pose(yaw, 10.0, 5.0)).T
    assert blink_correction(turned) == pytest.approx(blink_correction(landmarks), abs=1e-9)


@pytest.mark.parametrize("yaw", [-30.0, 0.0, 30.0])
def test_closed_eyes_have_a_smaller_coefficient_than_half_closed_ones(yaw: float) -> None:
    detector = MediaPipeDetector()
    coefficients = []
    for closed in (1.0, 0.5, 0.0):
        expression = Expression(closed_eyes=closed)
        spec = SyntheticFaceSpec(
            seed=12, yaw=yaw, expression=expression, glasses=False, width=400, height=400
        )
        (face,) = detector.detect(render_face(spec).image)
        coefficients.append(blink_correction(face.landmarks))
    # Half of the range between closed and open is 0.024. Each step must be at least half of that.
    assert np.diff(coefficients).min() > 0.012
    assert coefficients[-1] == pytest.approx(1.0, abs=0.025)


def test_the_coefficient_is_finite_for_landmarks_in_one_place() -> None:
    assert np.isfinite(blink_correction(np.zeros((478, 3))))


@pytest.mark.parametrize("shape", [(0, 0), (100, 0), (10_000, 100)])
def test_a_person_mask_that_is_empty_or_larger_than_the_picture_is_refused(
    image: Image, found: tuple[Points3, Mask], shape: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match="person_mask"):
        face_attributes(image, found[0], np.zeros(shape, np.float32))


def test_an_empty_person_mask_still_gives_an_answer(image: Image, found: tuple[Points3, Mask]) -> None:
    attributes = face_attributes(image, found[0], np.zeros(image.shape[:2], dtype=np.float32))
    assert (attributes.hair_length, attributes.glasses) == ("short", False)


@pytest.mark.parametrize("hair_type", ["short_straight", "long_straight", "ponytail_straight"])
def test_the_hair_length_of_synthetic_people_is_right(hair_type: HairType) -> None:
    face = render_face(
        SyntheticFaceSpec(
            seed=9, hair_type=hair_type, hair_color="dark_brown", gender="female", skin_tone=4, glasses=True
        )
    )
    detector = MediaPipeDetector()
    (found,) = detector.detect(face.image)
    attributes = face_attributes(face.image, found.landmarks, detector.segment_person(face.image))
    assert attributes.hair_length == hair_type.partition("_")[0]
    assert attributes.glasses
    tone = [int(SKIN_TONES[3][index : index + 2], 16) for index in (0, 2, 4)]
    assert np.abs(attributes.skin_color.astype(int) - tone).max() < 40


# Seed, skin tone and hair type. Each seed has both hair types.
LONG_HAIRED: tuple[tuple[int, int, HairType], ...] = (
    (910, 2, "long_straight"),
    (910, 6, "long_wavy"),
    (911, 2, "long_wavy"),
    (911, 6, "long_straight"),
)


@pytest.mark.parametrize("yaw", [-28.0, 0.0, 16.0])
def test_long_hair_and_its_waves_are_detected_on_turned_heads(yaw: float) -> None:
    for seed, tone, hair_type in LONG_HAIRED:
        spec = SyntheticFaceSpec(
            seed=seed, yaw=yaw, hair_type=hair_type, skin_tone=tone, glasses=False, width=480, height=480
        )
        attributes = described(render_face(spec).image)
        assert f"{attributes.hair_length}_{attributes.hair_texture}" == hair_type


@pytest.mark.parametrize("yaw", [-28.0, 28.0])
def test_a_tail_on_the_nearer_side_of_a_turned_head_leaves_the_ear_bare(yaw: float) -> None:
    found = set()
    for seed in (920, 921, 922):
        spec = SyntheticFaceSpec(
            seed=seed,
            yaw=yaw,
            hair_type="ponytail_straight",
            skin_tone=3,
            glasses=False,
            width=480,
            height=480,
        )
        found.add(described(render_face(spec).image).hair_length)
    # If the tail is over the hidden shoulder, the hair looks short.
    assert found <= {"ponytail", "short"}
    assert "ponytail" in found


@pytest.mark.parametrize("skin_tone", [8, 10])
def test_dark_hair_is_distinguished_from_dark_skin(skin_tone: int) -> None:
    for seed in (930, 931):
        hair_type: HairType
        for hair_type in ("long_straight", "short_straight"):
            spec = SyntheticFaceSpec(
                seed=seed, hair_type=hair_type, hair_color="black", skin_tone=skin_tone, width=480, height=480
            )
            assert described(render_face(spec).image).hair_length == hair_type.partition("_")[0]


def with_beard(image: Image, face: Points3, *, on_lip: bool = False, on_chin: bool = False) -> Image:
    """Return a picture of an upright face with a beard.

    The beard reaches from corner to corner of the mouth: on the lip from the nose to the upper lip, on the
    chin from below the lower lip to the outline of the face.
    """
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    corners = face[[UPPER_LIP_OUTER[0], UPPER_LIP_OUTER[-1]], 0]
    beside = (columns < corners.min()) | (columns > corners.max())
    bounds = [face[list(edge), :2] for edge in (NOSE_BASE, UPPER_LIP_OUTER, LOWER_LIP_OUTER, OVAL_BELOW)]
    nose, upper, lower, outline = (
        np.interp(columns[0], *edge[np.argsort(edge[:, 0])].T)[columns] for edge in bounds
    )
    thickness = np.ptp(face[list(LIPS_OUTER), 1])
    moustache = (rows > nose) & (rows < upper) & on_lip
    chin = (rows > lower + 0.3 * thickness) & (rows < outline) & on_chin
    return np.where(((moustache | chin) & ~beside)[..., None], image // 3, image).astype(np.uint8)


OVAL_BELOW = (*RIGHT_JAW, CHIN_TIP, *LEFT_JAW)


@pytest.mark.parametrize("seed", [4, 11, 12, 14, 19])
def test_a_beard_is_evidence_for_a_man_and_a_shadow_is_not(seed: int) -> None:
    image = render_face(SyntheticFaceSpec(seed=seed, hair_type="short_straight", gender="female")).image
    detector = MediaPipeDetector()
    face, person = detector.detect(image)[0].landmarks, detector.segment_person(image)

    def guess(*, on_lip: bool, on_chin: bool) -> str:
        return face_attributes(with_beard(image, face, on_lip=on_lip, on_chin=on_chin), face, person).gender

    assert guess(on_lip=False, on_chin=False) == "female"
    assert guess(on_lip=True, on_chin=False) == guess(on_lip=False, on_chin=True) == "female"
    assert guess(on_lip=True, on_chin=True) == "male"


def test_the_gender_is_the_same_in_all_pictures_of_a_person_and_mostly_right() -> None:
    most = pictures = 0
    right = Counter[str]()
    for seed in range(940_000, 940_006):
        gender: Gender = "female" if seed % 2 else "male"
        rng = np.random.default_rng(seed)
        guesses = []
        for yaw in (0.0, *rng.uniform(-30, 30, 3)):
            smile, open_mouth, brows = rng.random(3) * (yaw != 0)
            spec = SyntheticFaceSpec(
                seed=seed,
                gender=gender,
                yaw=yaw,
                pitch=rng.uniform(-10, 10),
                expression=Expression(smile=smile, open_mouth=0.5 * open_mouth, raised_brows=brows),
                width=360,
                height=360,
            )
            image = recompressed(render_face(spec).image, int(rng.integers(50, 95)))
            guesses.append(described(image).gender)
        right[gender] += guesses.count(gender)
        most += max(guesses.count("female"), guesses.count("male"))
        pictures += len(guesses)
    assert most / pictures >= 0.9
    assert min(right["female"], right["male"]) / (pictures / 2) >= 0.7
