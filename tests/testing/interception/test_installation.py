"""The patches that a redirect installs."""

from __future__ import annotations

import pytest
from redirect_peers import Peer
from redirect_state import PATCHED

from face_api_emulator.testing.interception import installation

pytestmark = pytest.mark.usefixtures("nothing_is_left")


def test_the_check_that_nothing_is_left_covers_every_patch(emulator: Peer) -> None:
    with emulator.redirected():
        patches = {(each._owner, each._name) for each in installation._patches}  # noqa: SLF001 - no other list
    assert patches <= set(PATCHED)
    # Without the optional package for SOCKS, httpcore has no SOCKSProxy to patch.
    assert {f"{owner.__name__}.{name}" for owner, name in set(PATCHED) - patches} <= {
        "SOCKSProxy.create_connection",
        "AsyncSOCKSProxy.create_connection",
    }
