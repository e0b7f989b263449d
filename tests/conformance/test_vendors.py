"""Requirements for every vendor, including future ones."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from starlette.routing import compile_path
from vendor_data import ROOT, calls_of, data_of, is_shipped, ledger_of, per_vendor

import emulator.face.errors
from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.drift.samples import golden_folder, read_samples
from emulator.face.errors import FaceError, ImageEmpty, ImageUndecodable, NoFaceFound, RefusedImage
from emulator.server import Listening
from emulator.web.vendor import Vendor
from emulator.world.error_catalogue import CatalogueEntry, ErrorCatalogue
from face_api_emulator.client import Client

FILES = {
    "__init__.py", "application.py", "contract.md", "demo.py", "errors.py",
    "golden", "settings.py", "wire.py",
}  # fmt: skip
API_FILES = {"__init__.py", "operations.py"}
ROW = re.compile(r"^\| (?P<fact>.+?) \| (?P<mark>\w+) \| (?P<source>.+?) \| (?P<test>.+?) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Caller:
    """A key, and a client that uses it."""

    key: str
    client: httpx.Client


@per_vendor
def test_every_vendor_has_the_same_files_and_a_folder_for_each_api(vendor: Vendor) -> None:
    assert {path.name for path in vendor.folder.iterdir()} >= FILES
    for api in vendor.loaded_apis:
        modules = {operation.endpoint.__module__ for operation in api.operations}
        assert len(modules) == 1, f"the operations of {api.title} are in several modules: {modules}"
        folder = vendor.folder.joinpath(modules.pop().removeprefix(f"{vendor.package}.").split(".")[0])
        assert {path.name for path in folder.iterdir()} >= API_FILES


@per_vendor
def test_the_beginning_of_a_path_says_which_api_serves_it(vendor: Vendor) -> None:
    assert vendor.api_paths.keys() <= set(vendor.apis)
    for api in vendor.apis:
        for operation in vendor.load(api).operations:
            assert {vendor.api_at(path) for path in operation.paths} == {api if vendor.api_paths else None}


@per_vendor
def test_an_unknown_path_gets_the_vendors_error(client: httpx.Client, vendor: Vendor) -> None:
    for prefix in vendor.prefixes:
        answer = client.get(f"{prefix}/nothing/here")
        # Below a bucket, the signature is checked before the path.
        assert answer.status_code in {403, 404}
        assert "nothing is served" not in answer.text


@per_vendor
def test_no_face_and_no_picture_have_errors_of_their_own(vendor: Vendor) -> None:
    """The entry for ``FaceError`` is for defects: errors that a client can cause need other entries."""
    judging = [each.errors for each in vendor.operations.values() if _answers(each.errors, NoFaceFound())]
    judging = [
        errors for errors in judging if errors.for_cause(NoFaceFound()) is not errors.for_cause(FaceError())
    ]
    assert judging, "no operation has an error for a picture without a face"
    for errors in judging:
        catch_all = errors.for_cause(FaceError())
        for error in (ImageEmpty(), ImageUndecodable("damaged")):
            assert errors.for_cause(error) is not catch_all
        for _, kind in inspect.getmembers(emulator.face.errors, inspect.isclass):
            if issubclass(kind, FaceError) and kind is not RefusedImage:
                assert errors.for_cause(kind.__new__(kind)).name in vendor.errors


def _answers(errors: ErrorCatalogue[CatalogueEntry], error: Exception) -> bool:
    try:
        errors.for_cause(error)
    except LookupError:
        return False
    return True


@per_vendor
def test_ledger_and_catalogue_have_the_same_mark_for_an_error(vendor: Vendor) -> None:
    for row in ROW.finditer(ledger_of(vendor)):
        name = re.match(r"`(\w+)`", row["fact"])
        if name is not None and name[1] in vendor.errors:
            assert row["mark"] == vendor.errors[name[1]].mark, row["fact"]


@per_vendor
def test_every_error_of_the_table_is_documented(vendor: Vendor) -> None:
    ledger = ledger_of(vendor)
    assert [name for name in vendor.errors if f"`{name}`" not in ledger] == []
    for entry in vendor.errors.values():
        assert entry.when.endswith(".")
        assert entry.source


@per_vendor
def test_every_fact_of_the_ledger_names_a_test_that_exists(vendor: Vendor) -> None:
    rows = [row for row in ROW.finditer(ledger_of(vendor)) if row["mark"] != "mark"]
    assert len(rows) >= len(list(vendor.errors))
    for row in rows:
        assert row["mark"] in {"CONFIRMED", "OBSERVED", "GUESS"}, row[0]
        path, _, name = row["test"].strip("`").partition("::")
        tests = ROOT / "tests" / "vendors" / vendor.name if is_shipped(vendor) else Path(str(vendor.folder))
        source = (tests / path).read_text()
        assert re.search(rf"^def {re.escape(name)}\(", source, re.MULTILINE), row["test"]


@per_vendor
def test_a_guess_can_be_corrected_by_a_setting(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch, workers: WorkerPool
) -> None:
    """This holds in every layer: the limits, the gateway, the API and the store."""
    wording = {entry.name: {"text": "other words", "status": 499} for entry in vendor.errors.values()}
    monkeypatch.setenv(f"FACE_EMULATOR_VENDORS__{vendor.name.upper()}__ERRORS", json.dumps(wording))
    with TestClient(create_app(workers=workers)) as client:
        for path, request in data_of(vendor.name).LAYERS:
            answer = client.post(path, **request)
            assert (answer.status_code, "other words" in answer.text) == (499, True), (path, answer.text)


@per_vendor
def test_the_journal_has_one_name_for_an_operation(server: Listening, vendor: Vendor) -> None:
    with (
        Client(server.base_url, f"sk-names-{vendor.name}") as control,
        httpx.Client(base_url=server.base_url, timeout=60) as client,
    ):
        for name, call in calls_of(vendor).items():
            before = client.get("/_emulator/calls", params={"last": 1}).json()["calls"]
            call(Caller(str(control.credential), client))
            after = client.get(
                "/_emulator/calls",
                params={"vendor": vendor.name, "after": before[-1]["number"] if before else 0},
            ).json()["calls"]
            assert after[-1]["operation"] == name


@per_vendor
def test_a_golden_sample_calls_every_operation(vendor: Vendor) -> None:
    """This lets ``drift`` compare all of them with the real service."""
    called = {
        operation.name
        for sample in read_samples(golden_folder(vendor)).values()
        for step in sample.steps
        for operation in vendor.operations.values()
        if step.request.method in operation.methods
        and (
            any(compile_path(path)[0].match(step.request.path) for path in operation.paths)
            or (
                operation.example.needs is not None
                and re.fullmatch(r"\{\w+\}", step.request.path) is not None
            )
        )
    }
    assert set(vendor.operations) - called == set()
