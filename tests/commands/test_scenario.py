from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from face_api_emulator.client import Client


def test_scenarios_are_loaded_by_name_and_from_files(
    tell: Callable[..., str], tell_mine: Callable[..., str], me: Client, tmp_path: Path
) -> None:
    assert tell_mine("scenario", "load", "rate-limited") == "rate-limited: 4 rules"
    assert len(me.faults()) == 4
    tell_mine("scenario", "unload", "rate-limited")
    own = tmp_path / "monday.yaml"
    own.write_text("rules: [{effect: slow}]")
    assert tell_mine("scenario", "load", str(own)) == "monday: 1 rules"
    assert me.faults()[0].rule["scenario"] == "monday"
    assert "vendor-outage" in tell("scenario", "list")
