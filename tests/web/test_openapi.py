from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import Request, Response
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from emulator.settings import Settings
from emulator.vendors.perfectcorp import vendor as perfectcorp
from emulator.web.openapi import SettingValue, describe, narrowed, pattern_of
from emulator.web.vendor import Api, Dialect, Vendor, VendorSettings, discover_vendors
from emulator.world.error_catalogue import CatalogueEntry, ErrorCatalogue, ErrorOverride, Mark, VendorError
from emulator.world.operation import Answer, Example, Operation


class Said(BaseModel):
    code: int
    message: str


class Limits(VendorSettings):
    photo_bytes: int = 20
    sides: int = 4


SIZE: Any = {"maximum": SettingValue("photo_bytes"), "examples": [SettingValue("sides", add=1)]}


class Photo(BaseModel):
    model_config = ConfigDict(json_schema_extra={"properties": {"size": SIZE}})

    size: int


class Page(BaseModel):
    cursor: str
    page_size: int = 20


class Stored(BaseModel):
    photo: Photo


class Refused(BaseModel):
    detail: str


ERRORS = ErrorCatalogue(
    [
        CatalogueEntry("too_large", 413, "too large", "The photo is too large.", Mark.GUESS, "nowhere"),
        CatalogueEntry("missing", 400, "MISSING: {name}", "Something is missing.", Mark.GUESS, "nowhere"),
        CatalogueEntry("no_face", 200, "no face", "No face.", Mark.GUESS, "nowhere", of_task=True),
    ]
)


async def render(_request: Request, error: VendorError) -> Response:
    return Response(error.text)


def schema(entry: CatalogueEntry) -> tuple[str, dict[str, Any]]:
    return "application/json", narrowed(Said, code=entry.status, message=entry.text)


def acme(**more: Any) -> Vendor:
    store = Operation(
        name="store",
        methods=("POST", "PUT"),
        paths=("/acme/store/{name}", "/acme/old/{name:path}"),
        endpoint=lambda: None,
        errors=ERRORS,
        example=Example(),
        query=Page,
        request=Photo,
        response=Stored,
        other_answers={304: Answer("It is there already."), 422: Answer("A field is wrong.", Refused)},
    )
    opened = Operation(
        name="ping",
        methods=("GET",),
        paths=("/acme/ping",),
        endpoint=lambda: None,
        errors=ErrorCatalogue(),
        example=Example(),
        response_types=("text/plain",),
        is_open=True,
    )
    dialect = Dialect(
        render=render,
        schema=schema,
        defect=ERRORS["too_large"],
        too_large=ERRORS["too_large"].occur(),
        longest_body=lambda _settings: None,
    )
    return Vendor(
        package="acme",
        title="Acme",
        hosts=(),
        prefixes=("/acme",),
        credential=("key",),
        apis=(Api("All", (store, opened)),),
        dialect=dialect,
        settings_model=Limits,
        **more,
    )


def responses(settings: Limits) -> dict[str, Any]:
    found: dict[str, Any] = describe(acme(), settings)["paths"]["/acme/store/{name}"]["post"]["responses"]
    return found


def kinds(response: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas of a response's errors."""
    found: list[dict[str, Any]] = response["content"]["application/json"]["schema"]["anyOf"]
    return found


def messages(response: dict[str, Any]) -> list[Any]:
    """Return the schemas of the messages in a response's errors."""
    return [kind["properties"]["message"] for kind in kinds(response)]


def test_the_errors_of_an_operation_are_listed_under_their_status() -> None:
    found = responses(Limits())
    assert set(found) == {"200", "304", "400", "413", "422"}
    assert found["413"]["description"] == "`too_large`: The photo is too large."
    assert messages(found["413"]) == [{"const": "too large"}]
    assert found["304"] == {"description": "It is there already."}
    assert found["422"]["description"] == "A field is wrong."
    # An error of a task is not a response of the operation.
    assert "anyOf" not in found["200"]["content"]["application/json"]["schema"]


def test_a_reworded_error_is_listed_with_its_new_status_and_text() -> None:
    found = responses(Limits(errors={"too_large": ErrorOverride(status=400, text="no")}))
    assert set(found) == {"200", "304", "400", "422"}
    assert found["400"]["description"] == (
        "`too_large`: The photo is too large. `missing`: Something is missing."
    )
    assert {"const": "no"} in messages(found["400"])
    assert [kind["properties"]["code"] for kind in kinds(found["400"])] == [{"const": 400}] * 2


def test_a_text_with_placeholders_is_described_by_a_pattern() -> None:
    (usual,) = messages(responses(Limits())["400"])
    assert usual["type"] == "string"
    assert re.search(usual["pattern"], "MISSING: photo")
    assert not re.search(usual["pattern"], "MISSING: ")
    settings = Limits(errors={"missing": ErrorOverride(text="{name}?")})
    (reworded,) = messages(responses(settings)["400"])
    assert re.search(reworded["pattern"], "photo?")
    assert not re.search(reworded["pattern"], "MISSING: photo")
    (plain,) = messages(responses(Limits(errors={"missing": ErrorOverride(text="missing")}))["400"])
    assert plain == {"const": "missing"}


@pytest.mark.parametrize(("photo_bytes", "sides"), [(20, 4), (5, 0)])
def test_schemas_contain_the_values_of_the_settings(photo_bytes: int, sides: int) -> None:
    document = describe(acme(), Limits(photo_bytes=photo_bytes, sides=sides))
    size = document["components"]["schemas"]["Photo"]["properties"]["size"]
    assert (size["maximum"], size["examples"]) == (photo_bytes, [sides + 1])
    assert "SettingValue" not in str(document)


def test_the_schemas_of_a_vendor_contain_its_configured_limits() -> None:
    for limit in (1000, 2000):
        settings = perfectcorp.settings_model.model_validate({"file_bytes": limit})
        assert f"'exclusiveMaximum': {limit}" in str(describe(perfectcorp, settings))


def test_an_operation_is_described_once_for_each_of_its_paths() -> None:
    paths = describe(acme(), Limits())["paths"]
    assert set(paths) == {"/acme/store/{name}", "/acme/old/{name}", "/acme/ping"}
    first, second = (paths[path]["post"] for path in ("/acme/store/{name}", "/acme/old/{name}"))
    assert (first["operationId"], second["operationId"]) == ("store", "store_2")
    for described in (first, second):
        assert [
            (parameter["name"], parameter["in"], parameter["required"])
            for parameter in described["parameters"]
        ] == [("name", "path", True), ("cursor", "query", True), ("page_size", "query", False)]
    assert set(first["requestBody"]["content"]) == {"application/json"}


def test_a_credential_in_a_header_is_required_unless_the_operation_is_open() -> None:
    scheme = {"type": "http", "scheme": "bearer"}
    document = describe(acme(security=scheme), Limits())
    assert document["components"]["securitySchemes"] == {"credential": scheme}
    assert document["security"] == [{"credential": []}]
    assert "security" not in document["paths"]["/acme/store/{name}"]["post"]
    assert document["paths"]["/acme/ping"]["get"]["security"] == []
    assert "security" not in describe(acme(), Limits())


places = st.text(st.characters(exclude_characters="\n"), max_size=9)
texts = st.text("ab.*[]()|\\^$?+/-", max_size=9)


@given(texts, places, texts)
def test_a_pattern_matches_its_text_if_the_placeholder_is_not_empty(
    before: str, place: str, after: str
) -> None:
    found = re.search(pattern_of(f"{before}{{place}}{after}"), f"{before}{place}{after}")
    assert (found is not None) == (place != "")


@pytest.mark.parametrize("vendor", discover_vendors(Settings().vendor_packages), ids=lambda each: each.name)
def test_no_default_contradicts_its_schema(vendor: Vendor) -> None:
    """A member that can be absent, but not null, has no default."""
    document = describe(vendor, vendor.settings_model())

    def check(part: object) -> None:
        if isinstance(part, dict):
            if "default" in part and part["default"] is None:
                assert "null" in str(part.get("anyOf", part.get("type")))
            for each in part.values():
                check(each)
        elif isinstance(part, list):
            for each in part:
                check(each)

    check(document)
