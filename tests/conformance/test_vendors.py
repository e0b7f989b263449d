"""What holds for every vendor, also for those that are not written yet."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

import emulator.face.errors
import emulator.vendors
from emulator.app import create_app
from emulator.face.errors import FaceError, ImageEmpty, ImageUndecodable, NoFaceFound, RefusedImage
from emulator.web.catalogue import ErrorCatalogue
from emulator.web.vendor import Vendor, discover_vendors

ROOT = Path(__file__).parent.parent.parent
VENDORS = discover_vendors(emulator.vendors)
FILES = {"__init__.py", "auth.py", "contract.md", "errors.py", "routes.py", "settings.py", "wire.py"}
ROW = re.compile(r"^\| (?P<fact>.+?) \| (?P<mark>\w+) \| (?P<source>.+?) \| (?P<test>.+?) \|$", re.MULTILINE)

per_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)


def folder(vendor: Vendor) -> Path:
    return ROOT / "emulator" / "vendors" / vendor.name


@per_vendor
def test_every_vendor_has_the_same_files(vendor: Vendor) -> None:
    assert {path.name for path in folder(vendor).iterdir() if path.name != "__pycache__"} >= FILES


@per_vendor
def test_an_unknown_path_is_answered_in_the_vendors_words(client: httpx.Client, vendor: Vendor) -> None:
    for prefix in vendor.prefixes:
        answer = client.get(f"{prefix}/nothing/here")
        # Below a bucket, nothing is said about what is there before the signature is good.
        assert answer.status_code in {403, 404}
        assert "nothing is served" not in answer.text


@per_vendor
def test_no_face_and_no_picture_have_errors_of_their_own(vendor: Vendor) -> None:
    """The catch-all for domain errors is a defect's answer; what a user can cause must not get it."""
    catch_all = vendor.errors.for_cause(FaceError())
    for error in (NoFaceFound(), ImageEmpty(), ImageUndecodable("damaged")):
        assert vendor.errors.for_cause(error) is not catch_all
    for _, kind in inspect.getmembers(emulator.face.errors, inspect.isclass):
        if issubclass(kind, FaceError) and kind is not RefusedImage:
            assert vendor.errors.for_cause(kind.__new__(kind)).name in vendor.errors


@per_vendor
def test_ledger_and_table_mark_an_error_alike(vendor: Vendor) -> None:
    for row in ROW.finditer((folder(vendor) / "contract.md").read_text()):
        name = re.match(r"`(\w+)`", row["fact"])
        if name is not None and name[1] in vendor.errors:
            assert row["mark"] == vendor.errors[name[1]].mark, row["fact"]


@per_vendor
def test_every_error_of_the_table_is_documented(vendor: Vendor) -> None:
    ledger = (folder(vendor) / "contract.md").read_text()
    assert [entry.name for entry in vendor.errors if f"`{entry.name}`" not in ledger] == []
    for entry in vendor.errors:
        assert entry.when.endswith(".")
        assert entry.source


@per_vendor
def test_every_fact_of_the_ledger_names_a_test_that_exists(vendor: Vendor) -> None:
    rows = [
        row for row in ROW.finditer((folder(vendor) / "contract.md").read_text()) if row["mark"] != "mark"
    ]
    assert len(rows) >= len(list(vendor.errors))
    for row in rows:
        assert row["mark"] in {"CONFIRMED", "OBSERVED", "GUESS"}, row[0]
        path, _, name = row["test"].strip("`").partition("::")
        source = (ROOT / "tests" / "vendors" / vendor.name / path).read_text()
        assert re.search(rf"^def {re.escape(name)}\(", source, re.MULTILINE), row["test"]


@per_vendor
def test_what_is_guessed_can_be_corrected_by_a_setting(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every layer that answers: the limits, the gateway, the API and the store."""
    wording = {entry.name: {"text": "other words", "status": 499} for entry in vendor.errors}
    monkeypatch.setenv(f"FACE_EMULATOR_VENDORS__{vendor.name.upper()}__ERRORS", json.dumps(wording))
    key = {"headers": {"Authorization": "Bearer k"}}
    requests: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "faceplusplus": [
            ("/facepp/v1/3dface", {"data": {"api_key": "k"}}),
            ("/facepp/v1/3dface", {"data": {"api_key": "k", "api_secret": "s"}}),
            ("/facepp/v1/3dface", {"content": bytes(3_000_000)}),
            ("/facepp/nothing", {}),
        ],
        "metahuman": [
            ("/face_recon/run_pipeline", {"data": {"token": "t"}, "files": {"image_bytes": b""}}),
            ("/face_recon/run_pipeline", {"content": bytes(12_000_000)}),
        ],
        "perfectcorp": [
            ("/s2s/v2.0/task/face-reshape", {"json": {}}),
            ("/s2s/v2.0/task/face-reshape", {"json": {}, **key}),
            ("/s2s/v2.0/task/face-reshape", {"content": bytes(2_000_000), **key}),
            ("/yce-us/ttl30/a.jpg", {}),
        ],
    }
    with TestClient(create_app()) as client:
        for path, request in requests[vendor.name]:
            answer = client.post(path, **request)
            assert (answer.status_code, "other words" in answer.text) == (499, True), (path, answer.text)


def test_the_tables_can_be_written_as_json() -> None:
    for vendor in VENDORS:
        assert isinstance(vendor.errors, ErrorCatalogue)
        for entry in vendor.errors:
            json.dumps([entry.name, entry.status, entry.text, entry.when, entry.mark, entry.source])
