"""Cleanup after an application that fails to start."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.control.scenario_error import ScenarioUnreadable
from emulator.settings import Settings
from emulator.tasks.runner import TaskRunner
from emulator.world.faults.engine import UnknownFault

WRONG = 'name = "wrong"\n[[rules]]\neffect = "no such effect"\n'


def test_an_invalid_setting_leaves_no_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(WRONG)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with pytest.raises(ScenarioUnreadable):
        create_app(Settings(scenarios=("nowhere",)))
    with pytest.raises(UnknownFault):
        create_app(Settings(scenarios=(str(wrong),)))
    gc.collect()
    assert list(folder.iterdir()) == []


def test_a_failed_start_leaves_no_worker_process(
    monkeypatch: pytest.MonkeyPatch, eventually: Callable[[Callable[[], object]], object]
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    async def fail(_self: TaskRunner, _credential: str | None = None) -> None:
        await asyncio.to_thread(eventually, lambda: started)
        raise RuntimeError("no room")

    monkeypatch.setattr(TaskRunner, "resume", fail)

    class Recorded(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    with pytest.raises(RuntimeError, match="no room"), TestClient(create_app(Settings(workers=1))):
        pass
    assert [process.returncode is not None for process in started] == [True]
