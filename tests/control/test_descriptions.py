"""The OpenAPI document of the control API describes every route, parameter and member."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.app import create_app
from emulator.settings import Settings

WORDS_OF_SUMMARY = 8

Described = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The OpenAPI document of the control API."""
    return create_app(Settings(workers=1)).openapi()


@pytest.fixture(scope="module")
def routes(document: dict[str, Any]) -> Described:
    """The routes, by method and path."""
    return {
        f"{method.upper()} {path}": route
        for path, methods in document["paths"].items()
        for method, route in methods.items()
    }


@pytest.fixture(scope="module")
def values(document: dict[str, Any], routes: Described) -> Described:
    """All parameters and all members of models, by place."""
    parameters = {
        f"{place}: {parameter['name']}": parameter
        for place, route in routes.items()
        for parameter in route.get("parameters", ())
    }
    members = {
        f"{model}.{name}": member
        for model, schema in document["components"]["schemas"].items()
        for name, member in schema.get("properties", {}).items()
    }
    assert parameters
    assert members
    return parameters | members


def is_well_formed(description: str) -> bool:
    begins_well = description[0].isupper() or description[0] == "`"
    return begins_well and description == " ".join(description.split())


def test_every_parameter_and_member_is_described(values: Described) -> None:
    assert [place for place, value in values.items() if not value.get("description")] == []


def test_descriptions_begin_with_a_capital_or_code_and_have_single_spaces(values: Described) -> None:
    described = {place: value["description"] for place, value in values.items() if "description" in value}
    assert {place: text for place, text in described.items() if not is_well_formed(text)} == {}


def test_every_route_has_a_short_summary_from_its_docstring(routes: Described) -> None:
    for place, route in routes.items():
        summary = route["summary"]
        assert 2 <= len(summary.split()) <= WORDS_OF_SUMMARY, place
        assert is_well_formed(summary), place
        assert not summary.endswith("."), place
        assert summary not in route.get("description", ""), place


def test_a_summary_is_the_first_line_of_the_docstring_and_the_description_the_rest(routes: Described) -> None:
    health = routes["GET /_emulator/health"]
    assert health["summary"] == "Check that the server is running"
    assert health["description"] == "The server responds even before the emulator is ready."
    assert "description" not in routes["GET /_emulator/tasks"]
    # The routers for webhooks are nested.
    assert routes["GET /_emulator/webhooks/plan"]["summary"] == "Return the plan and the recorded events"


def test_no_response_has_a_title_from_the_name_of_a_function(document: dict[str, Any]) -> None:
    assert "Emulator Tasks Get" not in str(document)
    schemas = [
        media.get("schema", {})
        for methods in document["paths"].values()
        for route in methods.values()
        for response in route["responses"].values()
        for media in response.get("content", {}).values()
    ]
    assert schemas
    assert not any("title" in schema for schema in schemas)


def test_the_document_has_no_keyword_of_a_later_openapi(document: dict[str, Any]) -> None:
    """FastAPI describes streams with ``itemSchema`` of OpenAPI 3.2 in a document that claims to be 3.1."""
    assert document["openapi"].startswith("3.1")
    assert "itemSchema" not in str(document)
    stream = document["paths"]["/_emulator/calls/stream"]["get"]["responses"]["200"]["content"]
    assert stream["text/event-stream"]["schema"]["type"] == "string"
