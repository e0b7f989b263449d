"""Every vendor's operations match its OpenAPI document."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from vendor_data import VENDORS, data_of, per_vendor

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.settings import Settings
from emulator.web.vendor import Vendor
from emulator.world.credentials import CredentialState

COMMAND = Path(sys.executable).with_name("schemathesis")
KEY = "sk-listed"
LENGTHS = [6, pytest.param(300, marks=pytest.mark.fuzz)]
"""Numbers of examples for each operation, in a normal run and with ``make fuzz``."""

# Schemas cannot say which strings are ids of files, or which bytes show a face, so a valid request can
# be refused.
EXCLUDED = "positive_data_acceptance"


@pytest.fixture(scope="module")
def strict(workers: WorkerPool) -> Iterator[Listening]:
    """An emulator that accepts one credential, so that the test fails if it is ignored."""
    settings = Settings(strict=True, credentials={KEY: CredentialState.VALID})
    with running_server(settings, workers=workers) as listening:
        yield listening


def headers_of(vendor: Vendor) -> list[str]:
    """Return the options that send the listed key as the vendor's security scheme requires."""
    match vendor.security:
        case {"type": "http"}:
            return ["--header", f"Authorization: Bearer {KEY}"]
        case {"type": "apiKey", "name": name}:
            return ["--header", f"{name}: {KEY}"]
    return []


@pytest.mark.parametrize("examples", LENGTHS)
@per_vendor
def test_schemathesis_finds_no_violation(
    strict: Listening, vendor: Vendor, tmp_path: Path, examples: int
) -> None:
    (tmp_path / "schemathesis.toml").write_text(getattr(data_of(vendor.name), "SCHEMATHESIS", ""))
    done = subprocess.run(  # noqa: S603 - the emulator's own command
        [
            COMMAND, "run", f"{strict.base_url}/_emulator/openapi/{vendor.name}.json",
            "--url", strict.base_url, *headers_of(vendor),
            "--max-examples", str(examples), "--seed", "1", "--phases", "examples,coverage,fuzzing",
            "--request-timeout", "120",
            "--exclude-checks", EXCLUDED, "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=3000,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "passed" in done.stdout


def test_an_unknown_vendor_is_reported(client: httpx.Client) -> None:
    answer = client.get("/_emulator/openapi/facebook.json")
    assert answer.status_code == 404
    assert answer.json() == {"error": f"there is no vendor facebook; choose one of {', '.join(VENDORS)}"}


@per_vendor
def test_every_operation_is_described_under_its_own_name(client: httpx.Client, vendor: Vendor) -> None:
    described = client.get(f"/_emulator/openapi/{vendor.name}.json").json()["paths"]
    names = {
        operation["operationId"]: (method, path)
        for path, methods in described.items()
        for method, operation in methods.items()
    }
    for operation in vendor.operations.values():
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", operation.path)
        assert names[operation.name] == (operation.method.lower(), path)
        answers = described[path][operation.method.lower()]["responses"]
        for entry in operation.errors:
            if not entry.of_task:
                is_said = f"`{entry.name}`: {entry.when}" in answers[str(entry.status)]["description"]
                assert is_said == (not entry.methods or operation.method in entry.methods), entry.name


@per_vendor
def test_the_document_contains_the_current_settings(vendor: Vendor) -> None:
    entry = next(entry for operation in vendor.operations.values() for entry in operation.errors)
    wording = {"errors": {entry.name: {"status": 499, "text": "other words"}}}
    settings = Settings(vendors={vendor.name: wording})
    with TestClient(create_app(settings)) as client:
        described = client.get(f"/_emulator/openapi/{vendor.name}.json").json()["paths"]
    answers = [
        operation["responses"]["499"]
        for methods in described.values()
        for operation in methods.values()
        if "499" in operation["responses"]
    ]
    assert answers
    for answer in answers:
        assert f"`{entry.name}`" in answer["description"]
        if "application/json" in answer["content"]:
            assert "other words" in json.dumps(answer["content"])


def test_the_limits_of_a_file_depend_on_its_kind_and_the_current_settings() -> None:
    settings = Settings(vendors={"perfectcorp": {"file_bytes": 111, "video_bytes": 222}})
    with TestClient(create_app(settings)) as client:
        document = client.get("/_emulator/openapi/perfectcorp.json").json()
    kinds = document["components"]["schemas"]["NewFile"]["anyOf"]
    limits = {
        kind["properties"]["content_type"]["pattern"]: kind["properties"]["file_size"]["exclusiveMaximum"]
        for kind in kinds
    }
    assert limits == {"^image/": 111, "^video/": 222}


@per_vendor
def test_every_described_operation_is_served(client: httpx.Client, vendor: Vendor) -> None:

    described = client.get(f"/_emulator/openapi/{vendor.name}.json").json()["paths"]
    for path, operations in described.items():
        for method in operations:
            filled = re.sub(r"\{\w+\}", "x", path)
            headers = {"Authorization": "Bearer k", "X-Example-Key": "k"}
            answer = client.request(method, filled, headers=headers)
            # A missing texture is also a 404.
            assert answer.status_code != 405, (method, path)
            assert answer.status_code != 404 or "{name}" in path, (method, path)
