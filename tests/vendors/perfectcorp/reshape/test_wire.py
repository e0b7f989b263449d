"""Request and response models of AI Face Reshape."""

from __future__ import annotations

import json
from functools import cache
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.face.head_frame import head_frame
from emulator.face.landmarks import LEFT_EYE, LEFT_IRIS, RIGHT_EYE, RIGHT_IRIS
from emulator.face.reshape import displaced_landmarks
from emulator.face.reshape_parameters import ReshapeParameters
from emulator.face.synthetic import SyntheticFaceSpec, render_face
from emulator.face.types import Points3
from emulator.tasks.task import Outcome, Task, finish, hold, start
from emulator.vendors.perfectcorp.errors import PerfectCorpEntry
from emulator.vendors.perfectcorp.reshape.errors import ENGINE
from emulator.vendors.perfectcorp.reshape.wire import (
    SIDED,
    Features,
    ReshapeRequest,
    ReshapeResults,
    render_status,
)
from emulator.vendors.perfectcorp.settings import PerfectCorpSettings
from laboratory.proportions import PROPORTIONS

values = st.integers(-100, 100)

# The parameters that, at 100, make the quantity of laboratory.proportions smaller. All others make it larger:
# the vendor's page says small to large, narrow to wide and low to high, and the nose tip from up to down.
LESS_AT_100 = {"cheekbones", "jaw"}


@cache
def face() -> Points3:
    surface = render_face(SyntheticFaceSpec(width=64, height=64)).landmarks
    landmarks: Points3 = np.concatenate([surface, np.zeros((10, 3))])
    for iris, eye in ((RIGHT_IRIS, RIGHT_EYE), (LEFT_IRIS, LEFT_EYE)):
        landmarks[list(iris)] = surface[list(eye)].mean(axis=0)
    return landmarks


def changes(name: str, value: int) -> float:
    landmarks = face()
    frame = head_frame(landmarks)
    moved = displaced_landmarks(landmarks, Features.model_validate({name: value}).to_parameters())
    return PROPORTIONS[name].change(frame.to_head(landmarks), frame.to_head(moved))


@pytest.mark.parametrize("name", PROPORTIONS)
def test_every_feature_moves_its_quantity_in_the_documented_direction(name: str) -> None:
    sign = -1.0 if name in LESS_AT_100 else 1.0
    assert sign * changes(name, 100) > 0
    if name not in LESS_AT_100:
        assert changes(name, -100) < 0


def test_outward_tilt_turns_the_outer_corners_of_the_eyes_up() -> None:
    assert PROPORTIONS["eye_angle"].quantity == "tilt, outer corners up"
    assert changes("eye_angle", 100) == pytest.approx(5.0, rel=0.1)


def test_every_feature_reaches_the_face_core() -> None:
    for name in Features.model_fields:
        parameters = Features.model_validate({name: 50}).to_parameters()
        changed = {key for key in ReshapeParameters.__dataclass_fields__ if getattr(parameters, key) != 0.0}
        assert changed == ({f"{name}_left", f"{name}_right"} if name in SIDED else {name})
        assert {getattr(parameters, key) for key in changed} == {0.5}


@given(combined=values, left=st.none() | values, right=st.none() | values)
def test_a_parameter_for_one_side_overrides_the_one_for_both_even_if_0(
    combined: int, left: int | None, right: int | None
) -> None:
    sent = {"eye_size": combined, "eye_size_left": left, "eye_size_right": right}
    features = Features.model_validate({name: value for name, value in sent.items() if value is not None})
    parameters = features.to_parameters()
    assert parameters.eye_size_left == (combined if left is None else left) / 100
    assert parameters.eye_size_right == (combined if right is None else right) / 100


def test_unknown_members_are_dropped() -> None:
    body = {
        "src_file_id": "x",
        "source": "yco",
        "style_id": 1,
        "version": "1.0",
        "features": {"jaw": 1, "ears": 5},
        "global": {"shine": 3},
    }
    dumped = ReshapeRequest.model_validate(body).model_dump(by_alias=True, exclude_unset=True)
    assert dumped == {"src_file_id": "x", "version": "1.0", "features": {"jaw": 1}, "global": {}}


@pytest.mark.parametrize("profile", ["schema", "page"])
@pytest.mark.parametrize(
    "entry",
    list(ENGINE),
    ids=lambda entry: entry.name,
)
def test_a_failed_task_has_the_code_of_the_schema_or_of_the_page(
    entry: PerfectCorpEntry, profile: Literal["schema", "page"]
) -> None:
    outcome = Outcome(error=entry.name)
    task = finish(hold(start(Task("t", "me", "k", {}, 1.0), 2.0), outcome), outcome, 3.0)
    answer = json.loads(bytes(render_status(task, None, PerfectCorpSettings(engine_codes=profile)).body))
    code = entry.code if profile == "schema" else entry.page_code
    assert list(answer["data"]) == ["error", "error_message", "results", "task_status"]
    assert answer["data"] == {
        "error": code,
        "error_message": entry.occur().text,
        "results": None,
        "task_status": "error",
    }
    assert code.isupper() == (profile == "page")


def test_a_task_shows_no_results_before_the_client_sees_its_end() -> None:
    task = hold(start(Task("t", "me", "k", {}, 1.0), 2.0), Outcome({"object": "key"}))
    results = ReshapeResults(url="u", timed=1, timed_apply=1)
    answer = json.loads(bytes(render_status(task, results, PerfectCorpSettings()).body))
    assert answer["data"] == {"error": None, "results": None, "task_status": "running"}
