from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.backends.folder_lock import LOCK, sole_user
from emulator.backends.leftovers import THREAD, make_temporary_folder, remove_leftovers
from emulator.backends.queue.pool import WorkerPool
from emulator.settings import Settings


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def ended_process() -> int:
    """Return the id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def filled(folder: Path) -> Path:
    (folder / "blobs").mkdir(parents=True)
    (folder / "blobs" / "a.jpg").write_bytes(b"picture")
    (folder / LOCK).touch()
    return folder


def test_folders_of_ended_processes_are_removed_and_no_others(tmp_path: Path) -> None:
    ended = ended_process()
    killed = filled(tmp_path / f"face-emulator-{ended}-abc_1234")
    before_the_lock = tmp_path / f"face-emulator-{ended}-new"
    before_the_lock.mkdir()
    elsewhere = filled(tmp_path / "elsewhere")
    kept = [
        filled(make_temporary_folder()),
        filled(tmp_path / f"face-emulator-{os.getppid()}-parents"),
        filled(tmp_path / "face-emulator-abcdefgh"),  # the folder of a test run
        filled(tmp_path / f"face-emulator-{ended}"),
        elsewhere,
    ]
    link = tmp_path / f"face-emulator-{ended}-link"
    link.symlink_to(elsewhere)
    remove_leftovers()
    assert not killed.exists()
    assert not before_the_lock.exists()
    assert link.is_symlink()
    assert all((folder / "blobs" / "a.jpg").exists() for folder in kept)


def test_a_locked_folder_stays(tmp_path: Path) -> None:
    """The process id of a server in another container means nothing here."""
    folder = filled(tmp_path / f"face-emulator-{ended_process()}-locked")
    with sole_user(folder):
        remove_leftovers()
        assert folder.exists()
    remove_leftovers()
    assert not folder.exists()


def test_a_start_removes_the_folder_of_a_killed_server(tmp_path: Path, workers: WorkerPool) -> None:
    killed = filled(tmp_path / f"face-emulator-{ended_process()}-killed")
    with TestClient(create_app(Settings(), workers=workers)):
        for thread in threading.enumerate():
            if thread.name == THREAD:
                thread.join(30)
        assert not killed.exists()
        assert len(list(tmp_path.glob(f"face-emulator-{os.getpid()}-*"))) == 1
    assert list(tmp_path.iterdir()) == []
