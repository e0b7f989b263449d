"""Every vendor's OpenAPI document is true: schemathesis finds nothing that it does not say."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import emulator.vendors
from emulator.server import Listening, running_server
from emulator.settings import Settings
from emulator.web.credentials import CredentialState
from emulator.web.vendor import Vendor, discover_vendors

COMMAND = Path(__file__).parent.parent.parent / ".venv" / "bin" / "schemathesis"
KEY = "sk-listed"
EXAMPLES = 6

# No schema can say which strings name a file, or which bytes show a face: requests that a schema
# calls good may be refused.
EXCLUDED = "positive_data_acceptance"


@pytest.fixture(scope="module")
def strict() -> Iterator[Listening]:
    """An emulator that knows one credential, so that ignoring it would show."""
    settings = Settings(strict=True, credentials={KEY: CredentialState.VALID}, workers=1)
    with running_server(settings) as listening:
        while httpx.get(f"{listening.base_url}/_emulator/ready").status_code != 200:
            pass
        yield listening


@pytest.mark.parametrize("vendor", discover_vendors(emulator.vendors), ids=lambda vendor: vendor.name)
def test_schemathesis_finds_no_violation(strict: Listening, vendor: Vendor, tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        [
            COMMAND, "run", f"{strict.base_url}/_emulator/openapi/{vendor.name}.json",
            "--url", strict.base_url, "--header", f"Authorization: Bearer {KEY}",
            "--max-examples", str(EXAMPLES), "--seed", "1", "--phases", "examples,coverage,fuzzing",
            "--exclude-checks", EXCLUDED, "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "passed" in done.stdout


def test_an_unknown_vendor_is_said(client: httpx.Client) -> None:
    answer = client.get("/_emulator/openapi/facebook.json")
    assert answer.status_code == 404
    assert answer.json() == {
        "error": "there is no vendor facebook; there are faceplusplus, metahuman, perfectcorp"
    }


@pytest.mark.parametrize("vendor", discover_vendors(emulator.vendors), ids=lambda vendor: vendor.name)
def test_every_described_operation_is_served(client: httpx.Client, vendor: Vendor) -> None:

    described = client.get(f"/_emulator/openapi/{vendor.name}.json").json()["paths"]
    for path, operations in described.items():
        for method in operations:
            filled = path.replace("{task_id}", "x").replace("{name}", "x")
            answer = client.request(method, filled, headers={"Authorization": "Bearer k"})
            # A texture that is not there is a 404 too; the path itself being unknown says so otherwise.
            assert answer.status_code != 405, (method, path)
            assert answer.status_code != 404 or "{name}" in path, (method, path)
