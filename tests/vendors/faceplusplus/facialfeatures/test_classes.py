from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from canonical_landmarks import canonical_landmarks

from emulator.face.fit import fit_head
from emulator.face.identity import mesh
from emulator.face.landmarks import SURFACE_COUNT
from emulator.face.measurement import measure_proportions
from emulator.face.proportions import Proportions
from emulator.vendors.faceplusplus.facialfeatures import classes
from emulator.vendors.faceplusplus.facialfeatures.classes import RATIOS
from emulator.vendors.faceplusplus.facialfeatures.wire import features

CANONICAL = canonical_landmarks(1.0, (0.0, 0.0))

LOGGED = Proportions(
    forehead=6.025,
    midface=6.125,
    lower_face=6.875,
    temple_width=13.35,
    cheek_width=13.1,
    jaw_width=11.675,
    right_jaw_angle=140.88,
    left_jaw_angle=140.88,
    chin_width=6.275,
    chin_height=3.35,
    chin_angle=156.84,
    right_eye_width=2.65,
    left_eye_width=2.65,
    eye_height=0.95,
    right_eye_margin=2.55,
    left_eye_margin=2.075,
    inner_eye_distance=3.575,
    inner_eye_angle=84.16,
    pupils_angle=56.71,
    brow_width=3.7,
    brow_height=0.8,
    brow_thickness=0.775,
    brow_rise=11.6,
    brow_slope=-0.41,
    nose_width=4.375,
    mouth_width=4.525,
    mouth_height=1.725,
    lip_thickness=0.838,
    mouth_corner_angle=90.41,
)
"""The measurements of a published response. Its right is that of the photo, so the sides are swapped."""


def test_a_published_response_is_reproduced() -> None:
    found = features(LOGGED).model_dump()
    assert found == {
        "three_parts": {
            "parts_ratio": "0.32:0.32:0.36",
            "one_part": {"faceup_length": 60.25, "faceup_ratio": 0.32, "faceup_result": "faceup_normal"},
            "two_part": {"facemid_length": 61.25, "facemid_ratio": 0.32, "facemid_result": "facemid_normal"},
            "three_part": {
                "facedown_length": 68.75,
                "facedown_ratio": 0.36,
                "facedown_result": "facedown_normal",  # facedown_long in the published response
            },
        },
        "five_eyes": {
            "eyes_ratio": "0.78:1.0:1.35:1:0.96",
            "one_eye": {
                "righteye_empty_length": 20.75,
                "righteye_empty_ratio": 0.78,
                "righteye_empty_result": "righteye_empty_normal",
            },
            "righteye": 26.5,
            "three_eye": {"eyein_length": 35.75, "eyein_ratio": 1.35, "eyein_result": "eyein_long"},
            "lefteye": 26.5,
            "five_eye": {
                "lefteye_empty_length": 25.5,
                "lefteye_empty_ratio": 0.96,
                "lefteye_empty_result": "lefteye_empty_long",
            },
        },
        "golden_triangle": 56.71,
        "face": {
            "tempus_length": 133.5,
            "zygoma_length": 131.0,
            "face_length": 190.25,
            "mandible_length": 116.75,
            "E": 140.88,
            "ABD_ratio": "1.02:1:0.89",
            "face_type": "long_face",
        },
        "jaw": {"jaw_width": 62.75, "jaw_length": 33.5, "jaw_angle": 156.84, "jaw_type": "square_jaw"},
        "eyebrow": {
            "brow_width": 37.0,
            "brow_height": 8.0,
            "brow_uptrend_angle": 11.6,
            "brow_camber_angle": -0.41,
            "brow_thick": 7.75,
            "eyebrow_type": "bushy_eyebrows",
        },
        "eyes": {
            "eye_width": 26.5,
            "eye_height": 9.5,
            "angulus_oculi_medialis": 84.16,
            "eyes_type": "big_eyes",
        },
        "nose": {"nose_width": 43.75, "nose_type": "thick_nose"},
        "mouth": {
            "mouth_height": 17.25,
            "mouth_width": 45.25,
            "lip_thickness": 8.38,
            "angulus_oris": 90.41,
            "mouth_type": "normal_lip",
        },
    }


def test_what_cannot_be_measured_is_null() -> None:
    nothing = replace(
        LOGGED,
        right_eye_width=0.0,
        left_eye_width=0.0,
        lower_face=-1.0,
        inner_eye_distance=0.0,
        cheek_width=0.0,
        brow_width=0.0,
        lip_thickness=0.0,
    )
    found = features(nothing)
    assert found.five_eyes.eyes_ratio is None
    assert found.five_eyes.lefteye is None
    assert found.five_eyes.five_eye.lefteye_empty_length == 25.5
    assert found.five_eyes.five_eye.lefteye_empty_result is None
    assert found.three_parts.parts_ratio is None
    assert found.three_parts.three_part.model_dump() == {
        "facedown_length": None,
        "facedown_ratio": None,
        "facedown_result": None,
    }
    face = found.face
    assert (face.face_type, face.ABD_ratio, face.zygoma_length) == (None, None, None)
    assert (found.eyebrow.eyebrow_type, found.eyes.eyes_type, found.nose.nose_type) == (None, None, None)
    assert found.mouth.lip_thickness is None


@pytest.fixture(scope="module")
def people() -> list[Proportions]:
    """The proportions of 300 random heads, from the front and without expression."""
    rng = np.random.default_rng(0)
    fit = fit_head(CANONICAL)
    fit = replace(fit, camera=replace(fit.camera, scale=1.0), pose=replace(fit.pose, roll=0.0))
    found = []
    for _ in range(300):
        landmarks = CANONICAL.copy()
        landmarks[:SURFACE_COUNT] = mesh(rng.normal(size=80)).vertices * (1.0, -1.0, -1.0)
        found.append(measure_proportions(landmarks, fit))
    return found


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (classes.face_type, classes.FaceType),
        (classes.jaw_type, classes.JawType),
        (classes.eyebrow_type, classes.EyebrowType),
        (classes.eyes_type, classes.EyesType),
        (classes.nose_type, classes.NoseType),
        (classes.mouth_type, classes.MouthType),
    ],
)
def test_every_class_occurs_among_random_people_and_none_is_too_common(
    people: list[Proportions], function: object, names: object
) -> None:
    assert callable(function)
    found = [function(face) for face in people]
    assert set(found) == set(get_args(names))
    assert max(found.count(name) for name in get_args(names)) < 0.75 * len(people)


def test_every_size_of_the_parts_occurs_among_random_people(people: list[Proportions]) -> None:
    ratios = {
        "faceup": [face.forehead / face.face_height for face in people],
        "facemid": [face.midface / face.face_height for face in people],
        "facedown": [face.lower_face / face.face_height for face in people],
        "eye_empty": [face.left_eye_margin / face.left_eye_width for face in people],
        "eyein": [face.inner_eye_distance / face.left_eye_width for face in people],
    }
    assert set(ratios) == set(RATIOS)
    for name, values in ratios.items():
        assert {RATIOS[name].size(round(value, 2)) for value in values} == {"short", "normal", "long"}


@pytest.mark.parametrize(
    ("changes", "part", "name"),
    [
        ({"jaw_width": 9.0}, "face", "pointed_face"),
        ({"jaw_width": 11.5, "forehead": 4.0}, "face", "square_face"),
        ({"jaw_width": 10.5, "forehead": 2.5}, "face", "round_face"),
        ({"jaw_width": 10.5, "forehead": 3.3, "temple_width": 11.0}, "face", "diamond_face"),
        ({"jaw_width": 10.5, "forehead": 4.0}, "face", "oval_face"),
        ({"jaw_width": 10.5, "forehead": 3.0}, "face", "normal_face"),
        ({"chin_angle": 130.0}, "jaw", "sharp_jaw"),
        ({"chin_angle": 145.0}, "jaw", "flat_jaw"),
        ({"brow_thickness": 0.4}, "eyebrow", "thin_eyebrows"),
        ({"brow_thickness": 0.5, "brow_slope": -10.0}, "eyebrow", "eight_eyebrows"),
        ({"brow_thickness": 0.5, "brow_slope": 2.0}, "eyebrow", "raise_eyebrows"),
        ({"brow_thickness": 0.5, "brow_slope": -6.0}, "eyebrow", "straight_eyebrows"),
        ({"brow_thickness": 0.5, "brow_slope": -6.0, "brow_rise": 13.0}, "eyebrow", "round_eyebrows"),
        ({"brow_thickness": 0.5, "brow_slope": -6.0, "brow_rise": 16.0}, "eyebrow", "arch_eyebrows"),
        ({"eye_height": 0.6}, "eyes", "small_eyes"),
        ({"eye_height": 0.9}, "eyes", "round_eyes"),
        ({"eye_height": 0.75}, "eyes", "normal_eyes"),
        ({"eye_height": 0.72, "right_eye_width": 3.0, "left_eye_width": 3.0}, "eyes", "thin_eyes"),
        ({"nose_width": 3.5}, "nose", "thin_nose"),
        ({"nose_width": 4.1}, "nose", "normal_nose"),
        ({"mouth_corner_angle": 85.0}, "mouth", "smile_lip"),
        ({"mouth_corner_angle": 103.0}, "mouth", "upset_lip"),
        ({"lip_thickness": 0.3}, "mouth", "thin_lip"),
        ({"lip_thickness": 1.1}, "mouth", "thick_lip"),
    ],
)
def test_each_class_follows_from_its_measurement(changes: dict[str, float], part: str, name: str) -> None:
    found = features(replace(LOGGED, **changes)).model_dump()[part]
    kind = next(value for member, value in found.items() if member.endswith("_type"))
    assert kind == name
