"""The lock of a data folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.backends.folder_lock import sole_user
from emulator.backends.queue.pool import WorkerPool
from emulator.backends.records import StoreUnreadable
from emulator.settings import Settings

HOLDER = """
import sys, time
from pathlib import Path
from emulator.backends.folder_lock import sole_user
with sole_user(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_killed_process_unlocks_the_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:  # noqa: S603 - our own code
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(StoreUnreadable, match="another emulator uses it"), sole_user(tmp_path):
            pass
        holder.kill()
        holder.wait()
    with sole_user(tmp_path):
        pass


def test_a_second_emulator_on_a_data_folder_ends(tmp_path: Path, workers: WorkerPool) -> None:
    settings = Settings(data_dir=tmp_path)
    with TestClient(create_app(settings, workers=workers)) as first:
        with (
            pytest.raises(StoreUnreadable, match="another emulator uses it; choose another folder"),
            TestClient(create_app(settings, workers=workers)),
        ):
            pass
        assert first.get("/_emulator/health").status_code == 200
    with TestClient(create_app(settings, workers=workers)) as next_one:
        assert next_one.get("/_emulator/health").status_code == 200
