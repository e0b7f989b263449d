"""The control API's own OpenAPI document is true, and nothing that fits it is a defect."""

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
EXAMPLES = 15

# No schema can say which rules, tasks and scenarios there are, or which names they may use: calls
# that a schema calls good may be refused. FastAPI's documents tell of no 404 and no 409, and where a
# path has several methods, its 405 names the first. Numbers may come as text or as a truth value, so
# that what a command line or a YAML file holds is taken.
EXCLUDED = "positive_data_acceptance,negative_data_rejection,status_code_conformance,allow_header_conformance"

# A stream that its reader ends, and a file that no schema describes.
UNREADABLE = "^/_emulator/(calls/stream|snapshot)$"


@pytest.fixture(scope="module")
def spare(workers: WorkerPool) -> Iterator[Listening]:
    """An emulator that may be reset at any moment, and whose clock may say anything."""
    with running_server(Settings(), workers=workers) as listening:
        yield listening


def test_schemathesis_finds_no_violation(spare: Listening, tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        [
            COMMAND, "run", f"{spare.base_url}/_emulator/openapi.json", "--url", spare.base_url,
            "--max-examples", str(EXAMPLES), "--seed", "1", "--phases", "examples,coverage,fuzzing",
            "--exclude-checks", EXCLUDED, "--exclude-path-regex", UNREADABLE, "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
    # Whatever rules it has made, all of them can still be listed, and all can be taken back.
    assert httpx.get(f"{spare.base_url}/_emulator/faults").status_code == 200
    assert httpx.post(f"{spare.base_url}/_emulator/reset").status_code == 204
    assert httpx.get(f"{spare.base_url}/_emulator/faults").json() == []
