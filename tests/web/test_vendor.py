from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Annotated, Any

import pytest
from fastapi import Request, Response
from fastapi.testclient import TestClient
from pydantic import Field

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.settings import Settings
from emulator.vendors.metahuman import vendor as metahuman
from emulator.vendors.perfectcorp import vendor as perfectcorp
from emulator.web.vendor import LIFETIME, Api, Dialect, Vendor, VendorSettings, discover_vendors
from emulator.world.error_catalogue import CatalogueEntry, ErrorCatalogue, Mark, VendorError
from emulator.world.operation import Example, Operation

FOURTH = """
from fastapi import Response

from emulator.web.call import CallDep
from emulator.web.vendor import Api, Dialect, Vendor
from emulator.world.error_catalogue import CatalogueEntry, ErrorCatalogue, Mark
from emulator.world.operation import Example, Operation

ERRORS = ErrorCatalogue(
    [
        CatalogueEntry("defect", 500, "sorry", "Never.", Mark.GUESS, "nowhere"),
        CatalogueEntry("busy", 503, "busy", "Sometimes.", Mark.GUESS, "nowhere"),
    ]
)

async def render(request, error):
    return Response(error.text, error.entry.status)

async def ping(call: CallDep):
    await call.identify("me")
    return "pong"

PING = Operation(
    name="ping", methods=("GET",), paths=("/fourth/ping",), endpoint=ping, errors=ERRORS,
    example=Example(),
)

vendor = Vendor(
    package=__name__, title="A fourth vendor", prefixes=("/fourth",), hosts=("api.fourth.example",),
    credential=("key",), apis=(Api("All", (PING,)),),
    dialect=Dialect(
        render=render, schema=lambda entry: ("text/plain", {"type": "string"}), defect=ERRORS["defect"],
        too_large=ERRORS["defect"].occur(), longest_body=lambda settings: None,
    ),
)
"""


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose packages can be imported, and are unloaded after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {path.name for path in tmp_path.iterdir()}:
            del sys.modules[name]


def package(folder: Path, name: str, source: str = "", **modules: str) -> str:
    """Write a package with subpackages, and return its name."""
    path = folder / name
    path.mkdir()
    (path / "__init__.py").write_text(dedent(source))
    for module_name, module_source in modules.items():
        package(path, module_name, module_source)
    return name


def test_a_new_vendor_needs_only_one_package(packages: Path, workers: WorkerPool) -> None:
    settings = Settings(vendor_packages=("emulator.vendors", package(packages, "fourth", FOURTH)))
    with TestClient(create_app(settings, workers=workers)) as client:
        assert client.get("/fourth/ping").json() == "pong"
        assert client.get("/ping", headers={"Host": "api.fourth.example"}).status_code == 404
        assert client.get("/fourth/ping", headers={"Host": "API.fourth.example:443"}).json() == "pong"
        assert "fourth" in client.get("/_emulator/health").json()["vendors"]
        # Faults, the list of operations and the OpenAPI document include its operation.
        assert client.get("/fourth/ping", headers={"X-Emulator-Fault": "busy"}).text == "busy"
        assert client.get("/_emulator/operations").json()["fourth"]["operations"] == ["ping"]
        described = client.get("/_emulator/openapi/fourth.json").json()
        assert set(described["paths"]["/fourth/ping"]["get"]["responses"]) == {"200", "500", "503"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", "two operations of fourth are named ping"),
        ('name="pong", paths=("/fourth/pong",), errors=OTHERS', "two errors of fourth are named busy"),
    ],
)
def test_a_duplicate_name_in_a_vendor_prevents_the_start(packages: Path, more: str, said: str) -> None:
    source = FOURTH.replace("vendor = Vendor(", f"PONG = replace(PING, {more})\n\nvendor = Vendor(")
    others = 'OTHERS = ErrorCatalogue([replace(ERRORS["busy"], status=502)])\n'
    source = source.replace("PONG =", f"{others}PONG =").replace("(PING,)", "(PING, PONG)")
    package(packages, "fourth", "from dataclasses import replace\n" + source)
    with pytest.raises(ValueError, match=said):
        create_app(Settings(vendor_packages=("fourth",)))


def test_two_vendors_cannot_have_the_same_prefix(packages: Path) -> None:
    name = package(packages, "clashing_vendors", a=FOURTH, b=FOURTH)
    with pytest.raises(ValueError, match=r"clashing_vendors\.b and clashing_vendors\.a both claim /fourth"):
        discover_vendors([name])


def test_two_vendors_cannot_have_the_same_name_or_host(packages: Path) -> None:
    package(packages, "one", fourth=FOURTH)
    elsewhere = FOURTH.replace('prefixes=("/fourth",)', 'prefixes=("/elsewhere",)')
    package(packages, "another", fourth=elsewhere)
    with pytest.raises(ValueError, match=r"another\.fourth and one\.fourth both claim fourth"):
        discover_vendors(["one", "another"])
    package(packages, "fifth", elsewhere)
    with pytest.raises(ValueError, match=r"fifth and one\.fourth both claim api\.fourth\.example"):
        discover_vendors(["one", "fifth"])


def test_all_vendors_are_found_sorted_by_name() -> None:
    assert [vendor.name for vendor in discover_vendors(("emulator.vendors",))] == [
        "faceplusplus",
        "metahuman",
        "perfectcorp",
    ]


def test_a_package_is_a_vendor_or_contains_vendors(packages: Path) -> None:
    third = FOURTH.replace("fourth", "third")
    package(packages, "shelf", second=FOURTH.replace("fourth", "second"), third=third)
    (packages / "shelf" / "words.py").write_text("raise RuntimeError('no vendor')")
    package(packages, "fourth", FOURTH, second=third)  # packages inside a vendor are not searched
    found = discover_vendors(["fourth", "shelf"])
    assert [(vendor.name, vendor.package) for vendor in found] == [
        ("fourth", "fourth"),
        ("second", "shelf.second"),
        ("third", "shelf.third"),
    ]
    assert discover_vendors([]) == ()
    assert (found[0].folder / "__init__.py").read_text() == dedent(FOURTH)


def test_a_missing_package_is_named_in_the_error(packages: Path) -> None:
    package(packages, "fourth", FOURTH)
    with pytest.raises(ValueError, match=r"the vendor package fifth\.vendors does not exist"):
        discover_vendors(["fourth", "fifth.vendors"])


def test_a_package_without_a_vendor_is_named_in_the_error(packages: Path) -> None:
    package(packages, "empty")
    package(packages, "shelf", fourth=FOURTH, notes="words = 1")
    (packages / "module.py").write_text("words = 1")
    with pytest.raises(ValueError, match=r"shelf\.notes has no vendor"):
        discover_vendors(["shelf"])
    with pytest.raises(ValueError, match="module has no vendor"):
        discover_vendors(["module"])
    assert discover_vendors(["empty"]) == ()


def test_an_import_error_inside_a_package_is_raised_unchanged(packages: Path) -> None:
    package(packages, "sixth", "import nothing_of_that_name")
    with pytest.raises(ModuleNotFoundError, match="nothing_of_that_name"):
        discover_vendors(["sixth"])


def entry(name: str, status: int = 400) -> CatalogueEntry:
    return CatalogueEntry(name, status, name, "Sometimes.", Mark.GUESS, "nowhere")


def operation(name: str, *errors: CatalogueEntry) -> Operation:
    return Operation(
        name=name,
        methods=("GET",),
        paths=(f"/acme/{name}",),
        endpoint=lambda: None,
        errors=ErrorCatalogue(errors),
        example=Example(),
    )


async def render(_request: Request, error: VendorError) -> Response:
    return Response(error.text)


def acme(*apis: Api, **more: Any) -> Vendor:
    dialect = Dialect(
        render=render,
        schema=lambda _entry: ("text/plain", {}),
        defect=entry("defect"),
        too_large=entry("too_large").occur(),
        longest_body=lambda _settings: None,
    )
    named: dict[str, Any] = {"package": "vendors.acme", "title": "Acme", "hosts": (), "prefixes": ("/acme",)}
    return Vendor(**named, credential=("key", "secret"), apis=apis, dialect=dialect, **more)


def test_operations_and_errors_of_all_apis_are_found_by_name() -> None:
    shared = entry("shared")
    first = Api("First", (operation("a", shared, entry("x")), operation("b", shared)))
    second = Api("Second", (operation("c", entry("y"), shared),))
    vendor = acme(first, second)
    assert vendor.name == "acme"
    assert list(vendor.operations) == ["a", "b", "c"]
    assert vendor.operations["c"] is second.operations[0]
    assert list(vendor.errors) == ["shared", "x", "y"]
    assert vendor.errors["shared"] is shared


def test_two_operations_of_the_same_name_are_refused() -> None:
    within = acme(Api("First", (operation("a"), operation("a"))))
    across = acme(Api("First", (operation("a"),)), Api("Second", (operation("a"),)))
    for vendor in (within, across):
        with pytest.raises(ValueError, match="two operations of acme are named a"):
            _ = vendor.operations


def test_two_different_errors_of_the_same_name_are_refused() -> None:
    vendor = acme(Api("All", (operation("a", entry("x", 400)), operation("b", entry("x", 401)))))
    with pytest.raises(ValueError, match="two errors of acme are named x"):
        _ = vendor.errors
    same = acme(Api("All", (operation("a", entry("x")), operation("b", entry("x")))))
    assert list(same.errors) == ["x"]


def test_lifetimes_are_the_settings_marked_as_lifetimes() -> None:
    class Kept(VendorSettings):
        url_seconds: Annotated[int, LIFETIME] = 7200
        sides: Annotated[int, Field(ge=1)] = 4
        file_days: Annotated[float | None, LIFETIME, Field(gt=0)] = None

    assert acme(settings_model=Kept).lifetimes == ("url_seconds", "file_days")
    assert acme().lifetimes == ()
    assert metahuman.lifetimes == ()
    assert set(perfectcorp.lifetimes) <= set(perfectcorp.settings_model.model_fields)
    assert "url_seconds" in perfectcorp.lifetimes


def test_fields_of_the_credential_are_secret_unless_it_is_in_a_header() -> None:
    in_fields = acme(secrets=("signature",))
    assert in_fields.secret_fields == ("key", "secret", "signature")
    in_a_header = acme(secrets=("signature",), security={"type": "http", "scheme": "bearer"})
    assert in_a_header.secret_fields == ("signature",)
    assert metahuman.secret_fields == ("token",)
    assert "key" not in perfectcorp.secret_fields
