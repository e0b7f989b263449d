from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

import emulator.vendors
from emulator.app import create_app
from emulator.web.vendor import discover_vendors

FOURTH = """
from fastapi import APIRouter
from fastapi import Response
from emulator.web.catalogue import CatalogueEntry, ErrorCatalogue, Mark
from emulator.web.vendor import Dialect, Vendor, VendorSettings, vendor_application

router = APIRouter()

async def render(request, error):
    return Response(error.text, error.entry.status)

defect = CatalogueEntry("defect", 500, "sorry", "Never.", Mark.GUESS, "nowhere")
dialect = Dialect(render, defect, too_large=defect.occur())

@router.get("/fourth/ping")
async def ping():
    return "pong"

vendor = Vendor(
    name="fourth", title="A fourth vendor", prefixes=("/fourth",), hosts=("api.fourth.example",),
    settings_model=VendorSettings, errors=ErrorCatalogue([]),
    build=lambda services, settings: vendor_application(
        services, settings, router, dialect, lambda path: None
    ),
    openapi=dict,
)
"""


def package(path: Path, name: str, **modules: str) -> ModuleType:
    module = ModuleType(name)
    module.__path__ = [str(path)]
    sys.modules[name] = module
    for module_name, source in modules.items():
        (path / module_name).mkdir()
        (path / module_name / "__init__.py").write_text(dedent(source))
    return module


def test_a_fourth_vendor_is_one_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fourth").mkdir()
    (tmp_path / "fourth" / "__init__.py").write_text(FOURTH)
    monkeypatch.setattr(emulator.vendors, "__path__", [*emulator.vendors.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "emulator.vendors.fourth", raising=False)
    client = TestClient(create_app())
    assert client.get("/fourth/ping").json() == "pong"
    assert client.get("/ping", headers={"Host": "api.fourth.example"}).status_code == 404
    assert client.get("/fourth/ping", headers={"Host": "API.fourth.example:443"}).json() == "pong"
    assert "fourth" in client.get("/_emulator/health").json()["vendors"]


def test_two_vendors_cannot_claim_one_path(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fourth and fourth both claim /fourth"):
        discover_vendors(package(tmp_path, "clashing_vendors", a=FOURTH, b=FOURTH))


def test_all_vendors_are_found_by_name() -> None:
    assert [vendor.name for vendor in discover_vendors(emulator.vendors)] == [
        "faceplusplus",
        "metahuman",
        "perfectcorp",
    ]


def test_the_vendors_own_host_leads_to_it_whatever_the_path() -> None:
    with TestClient(create_app()) as client:
        answer = client.get("/nothing", headers={"Host": "api-cn.faceplusplus.com"})
    assert (answer.status_code, answer.text) == (404, '{"error_message":"API_NOT_FOUND"}')


@pytest.mark.parametrize("path", ["/", "/faceppp/v1/3dface", "/_emulator/nothing", "/statics"])
def test_a_path_that_nobody_owns_gets_a_guide(path: str) -> None:
    answer = TestClient(create_app()).get(path)
    assert answer.status_code == 404
    assert answer.json()["error"] == f"nothing is served at {path}"
    assert answer.json()["vendors"]["faceplusplus"] == ["/facepp"]
