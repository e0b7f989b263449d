import pytest
from avatar_shop import Shop


@pytest.fixture
def shop(face_emulator):
    """The shop as in production, but with the keys of this test."""
    key = face_emulator.credential
    # With more than five polls a second, a call gets the warning polled-too-often.
    return Shop(key, "any-secret", key, wait_seconds=0.25)
