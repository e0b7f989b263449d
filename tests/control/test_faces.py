from __future__ import annotations

from pathlib import Path

import pytest
from tester import refusal

from emulator.face.synthetic.named import NAMED_FACES
from face_api_emulator.client import Client

FACES = Path(__file__).parent.parent.parent / "fixtures" / "faces"


def test_all_test_faces_are_listed_with_what_they_show(me: Client) -> None:
    assert me.faces() == {name: face.shows for name, face in NAMED_FACES.items()}


@pytest.mark.parametrize("name", ["ok-frontal", "no-face", "corrupt", "not-a-picture"])
def test_a_test_face_is_the_file_of_the_repository(me: Client, name: str) -> None:
    assert me.face(name) == (FACES / f"{name}.jpg").read_bytes()


def test_a_test_face_is_drawn_as_png(me: Client) -> None:
    assert me.face("two-faces", "png").startswith(b"\x89PNG\r\n")


def test_an_unknown_face_or_format_is_refused(me: Client) -> None:
    status, detail = refusal(lambda: me.face("elvis"))
    assert (status, detail) == (404, f"there is no test face elvis; choose one of {', '.join(NAMED_FACES)}")
    assert refusal(lambda: me.face("ok-frontal", "gif"))[0] == 422
