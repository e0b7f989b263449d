from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.face.beauty_parameters import BeautyParameters
from emulator.face.landmarks import FACE_OVAL, LEFT_EYE, RIGHT_EYE
from emulator.face.reshape import _template, displaced_landmarks
from emulator.face.reshape_parameters import ReshapeParameters

NAMES = [field.name for field in fields(BeautyParameters)]
share = st.floats(0.0, 1.0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan")])
def test_a_strength_is_0_to_1(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be 0 to 1"):
        BeautyParameters(**{name: value})


@pytest.mark.parametrize("name", NAMES)
def test_any_strength_is_a_change(name: str) -> None:
    assert BeautyParameters().is_zero
    assert not BeautyParameters(**{name: 0.01}).is_zero


def test_only_the_three_parameters_of_the_shape_reshape() -> None:
    colours = BeautyParameters(whitening=1.0, smoothing=1.0, remove_eyebrows=1.0)
    assert colours.shape() == ReshapeParameters()
    assert BeautyParameters(1.0, 1.0, 1.0, 1.0, 1.0, 1.0).shape(0.0).is_zero


@given(share, share, share, share)
def test_every_combination_gives_valid_reshape_parameters(
    thin: float, small: float, eyes: float, part: float
) -> None:
    BeautyParameters(thin_face=thin, shrink_face=small, enlarge_eyes=eyes).shape(part)


def sizes(parameters: BeautyParameters) -> tuple[float, float, float]:
    """Return the width of the face, its area, and the area of the eyes, as seen from the front."""
    face = displaced_landmarks(100.0 * _template(), parameters.shape())
    areas = []
    for ring in (FACE_OVAL, LEFT_EYE, RIGHT_EYE):
        x, y = face[list(ring), :2].T
        following = [*range(1, len(ring)), 0]
        areas.append(abs(float(x @ y[following] - y @ x[following])) / 2)
    return abs(float(face[454, 0] - face[234, 0])), areas[0], areas[1] + areas[2]


def test_the_measured_changes_at_100() -> None:
    """These are the numbers in docs/faceplusplus.md."""
    before = sizes(BeautyParameters())

    def change(**values: float) -> list[float]:
        after = sizes(BeautyParameters(**values))
        return [100.0 * (new / old - 1.0) for new, old in zip(after, before, strict=True)]

    width, area, _ = change(thin_face=1.0)
    assert width == pytest.approx(-10.5, abs=0.5)
    assert area == pytest.approx(-11.0, abs=1.0)
    width, area, _ = change(shrink_face=1.0)
    assert width == pytest.approx(-9.6, abs=0.3)
    assert area == pytest.approx(-14.0, abs=0.5)
    width, area, eyes = change(enlarge_eyes=1.0)
    assert (width, area) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert eyes == pytest.approx(26.0, abs=1.0)


@pytest.mark.parametrize("other", [0.0, 0.5, 1.0])
def test_more_of_a_parameter_is_a_larger_change(other: float) -> None:
    steps = [step / 20 for step in range(21)]
    widths = [sizes(BeautyParameters(thin_face=step, shrink_face=other))[0] for step in steps]
    areas = [sizes(BeautyParameters(thin_face=other, shrink_face=step))[1] for step in steps]
    eyes = [sizes(BeautyParameters(thin_face=other, enlarge_eyes=step))[2] for step in steps]
    assert widths == sorted(widths, reverse=True)
    assert areas == sorted(areas, reverse=True)
    assert eyes == sorted(eyes)
