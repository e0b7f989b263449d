import pytest
from avatar_shop import ShopError

# The shop calls the vendors' own addresses. This mark leads these calls to the emulator.
pytestmark = pytest.mark.face_emulator(redirect=True)


def test_a_photo_becomes_a_head(shop, face_emulator_faces):
    assert shop.head(face_emulator_faces["ok-frontal"]).startswith("mtllib face.mtl")


def test_a_photo_of_two_people_is_refused(shop, face_emulator_faces):
    with pytest.raises(ShopError, match="one person"):
        shop.head(face_emulator_faces["two-faces"])


def test_a_photo_is_reshaped(shop, face_emulator_faces):
    photo = face_emulator_faces["ok-frontal"]
    assert shop.slimmer(photo) not in {b"", photo}


def test_the_shop_waits_if_there_were_too_many_calls(
    shop, face_emulator, face_emulator_faces, face_emulator_faults
):
    with face_emulator_faults("TooManyRequests", count=2):
        shop.slimmer(face_emulator_faces["ok-frontal"])
    assert face_emulator.verify(count=2, status=429).ok


def test_a_task_that_fails_is_explained_to_the_customer(shop, face_emulator_faces):
    with pytest.raises(ShopError, match="error_no_face"):
        shop.slimmer(face_emulator_faces["no-face"])


@pytest.mark.face_emulator(max_units=1, warnings_are_errors=True)
def test_a_reshape_costs_one_unit_and_follows_the_documentation(shop, face_emulator_faces):
    shop.slimmer(face_emulator_faces["ok-smile"])
