from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pytester_runs import ROOT, only_our_plugin

from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.settings import Settings


@pytest.fixture(autouse=True)
def this_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pytest runs that tests start import these sources, even if another emulator is installed."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    monkeypatch.setenv("FACE_EMULATOR_WORKERS", "1")
    only_our_plugin(monkeypatch)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, workers: WorkerPool) -> Iterator[Listening]:
    """An emulator with TLS."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"))
    with running_server(settings, workers=workers, tls_port=0) as listening:
        yield listening
