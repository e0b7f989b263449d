from __future__ import annotations

import numpy as np
import pytest

from emulator.face.canonical import canonical_mesh
from emulator.face.expression import expression_fields
from emulator.face.identity import mirrored_field
from emulator.face.landmarks import LOWER_LIP_INNER, RIGID, UPPER_LIP_INNER


def test_the_mirror_images_of_the_fields_are_combinations_of_the_fields() -> None:
    fields = expression_fields().reshape(len(expression_fields()), -1)
    mirrored = np.array([mirrored_field(field) for field in expression_fields()]).reshape(fields.shape)
    rest = mirrored - (mirrored @ np.linalg.pinv(fields)) @ fields
    assert np.abs(rest).max() < 1e-6


def test_no_action_is_a_combination_of_the_others() -> None:
    fields = expression_fields().reshape(len(expression_fields()), -1)
    unit = fields / np.linalg.norm(fields, axis=1, keepdims=True)
    assert np.linalg.svd(unit, compute_uv=False).min() > 0.01


def test_the_jaw_opens_the_mouth_and_does_not_move_the_skull() -> None:
    drop = expression_fields()[-4]
    lips = drop[list(UPPER_LIP_INNER[3:-3])] - drop[list(LOWER_LIP_INNER[3:-3])]
    assert lips[:, 1].min() > 0.5
    assert np.abs(drop[list(RIGID)]).max() < 0.05


@pytest.mark.parametrize("index", range(0, len(expression_fields()), 7))
def test_actions_move_the_face_by_a_plausible_amount(index: int) -> None:
    reach = np.linalg.norm(expression_fields()[index], axis=1).max()
    assert 0.05 < reach < 1.5
    assert reach < 0.2 * np.ptp(canonical_mesh().vertices[:, 1])


def test_fields_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        expression_fields()[0] = 0
