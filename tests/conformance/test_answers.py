"""The recorded answers to the test faces are those of the emulator."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from emulator.face.synthetic.named import NAMED_FACES
from emulator.web.vendor import Vendor
from emulator.world.operation import Operation
from fixtures.answers import answer, operations, read_answers

OPERATIONS = list(operations())

# Another test sends every test face to the first two, and version 2 of Beautify does all that version 1 does.
REPLAYED = [each for each in OPERATIONS if each[1].name not in {"3dface", "run_pipeline", "beautify_v1"}]

# Results differ a little between processors. A pixel or a score may be rounded differently.
RELATIVE, ABSOLUTE = 0.03, 2.0


def differences(found: Any, recorded: Any, place: str = "") -> list[str]:
    """Return the places where a response differs from the recorded one by more than rounding."""
    if isinstance(recorded, dict) and "$type" in recorded:
        return []
    if isinstance(recorded, dict) and isinstance(found, dict):
        if list(found) != list(recorded):
            return [f"{place}: {list(found)} instead of {list(recorded)}"]
        return [
            each for name in recorded for each in differences(found[name], recorded[name], f"{place}.{name}")
        ]
    if isinstance(recorded, list) and isinstance(found, list) and len(found) == len(recorded):
        pairs = enumerate(zip(found, recorded, strict=True))
        return [each for number, (a, b) in pairs for each in differences(a, b, f"{place}.{number}")]
    if type(recorded) in {int, float} and type(found) in {int, float}:
        is_near = found == pytest.approx(recorded, rel=RELATIVE, abs=ABSOLUTE)
    else:
        is_near = found == recorded or _is_id(place)
    return [] if is_near else [f"{place}: {found!r} instead of {recorded!r}"]


def _is_id(place: str) -> bool:
    """Return whether a member is an id, which depends on the key, or a colour, which is measured."""
    return place.rpartition(".")[2] in {"request_id", "face_token", "textureUrl", "color"}


@pytest.mark.parametrize("face", NAMED_FACES)
@pytest.mark.parametrize(("vendor", "operation"), REPLAYED, ids=[operation.name for _, operation in REPLAYED])
def test_a_test_face_is_answered_as_recorded(
    client: httpx.Client, vendor: Vendor, operation: Operation, face: str
) -> None:
    recorded = read_answers(face)[f"{vendor.name}/{operation.name}"]
    assert differences(answer(client, vendor, operation, face, f"answers-{face}"), recorded) == []


def test_every_operation_has_an_answer_for_every_face() -> None:
    expected = [f"{vendor.name}/{operation.name}" for vendor, operation in OPERATIONS]
    for face in NAMED_FACES:
        assert list(read_answers(face)) == expected
