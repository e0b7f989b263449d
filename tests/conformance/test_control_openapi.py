"""The control API matches its OpenAPI document, and no valid request causes a defect."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.settings import Settings

COMMAND = Path(sys.executable).parent / "schemathesis"
LENGTHS = [6, pytest.param(300, marks=pytest.mark.fuzz)]
"""Numbers of examples for each operation, in a normal run and with ``make fuzz``."""

# Schemas cannot say which rules, tasks and scenarios exist, or which names they can use, so a valid
# request can be refused. FastAPI's documents have no 404 and no 409, and the 405 of a path with several
# methods lists only the first. Numbers can also be strings or booleans, as in command lines and YAML.
EXCLUDED = "positive_data_acceptance,negative_data_rejection,status_code_conformance,allow_header_conformance"

# A stream that only its reader ends, and a file that no schema describes.
UNREADABLE = "^/_emulator/(calls/stream|snapshot)$"


@pytest.fixture(scope="module")
def spare(workers: WorkerPool) -> Iterator[Listening]:
    """An emulator that no other test uses, so that it can be reset and its clock can be moved."""
    with running_server(Settings(), workers=workers) as listening:
        yield listening


@pytest.mark.parametrize("examples", LENGTHS)
def test_schemathesis_finds_no_violation(spare: Listening, tmp_path: Path, examples: int) -> None:
    done = subprocess.run(  # noqa: S603 - the emulator's own command
        [
            COMMAND, "run", f"{spare.base_url}/_emulator/openapi.json", "--url", spare.base_url,
            "--max-examples", str(examples), "--seed", "1", "--phases", "examples,coverage,fuzzing",
            "--request-timeout", "120",
            "--exclude-checks", EXCLUDED, "--exclude-path-regex", UNREADABLE, "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=3000,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
    # All rules that schemathesis has added can still be listed and removed.
    assert httpx.get(f"{spare.base_url}/_emulator/faults").status_code == 200
    assert httpx.post(f"{spare.base_url}/_emulator/reset").status_code == 204
    assert httpx.get(f"{spare.base_url}/_emulator/faults").json() == []
