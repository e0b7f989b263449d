from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emulator.face.reshape import ReshapeParameters
from emulator.vendors.perfectcorp.wire import SIDED, Features

values = st.integers(-100, 100)


def test_every_feature_reaches_the_face_core() -> None:
    for name in Features.model_fields:
        parameters = Features.model_validate({name: 50}).to_parameters()
        changed = {key for key in ReshapeParameters.__dataclass_fields__ if getattr(parameters, key) != 0.0}
        assert changed == ({f"{name}_left", f"{name}_right"} if name in SIDED else {name})
        assert {getattr(parameters, key) for key in changed} == {0.5}


@given(combined=values, left=st.none() | values, right=st.none() | values)
def test_a_side_that_was_sent_overrides_the_combined_value_also_with_zero(
    combined: int, left: int | None, right: int | None
) -> None:
    sent = {"eye_size": combined, "eye_size_left": left, "eye_size_right": right}
    features = Features.model_validate({name: value for name, value in sent.items() if value is not None})
    parameters = features.to_parameters()
    assert parameters.eye_size_left == (combined if left is None else left) / 100
    assert parameters.eye_size_right == (combined if right is None else right) / 100
