from __future__ import annotations

from collections.abc import Callable


def test_progression_is_set_and_reset(tell_mine: Callable[..., str]) -> None:
    set_to = tell_mine("tasks", "progression", "after_polls", "3")
    assert set_to == '{"mode":"after_polls","polls":3}'
    assert tell_mine("tasks", "progression", "reset") == '{"mode":"real"}'
    assert tell_mine("tasks", "list") == ""
