"""The parts of an OpenAPI document that every vendor's description is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Any, TypeVar

from emulator.web.catalogue import CatalogueEntry

Json = dict[str, Any]
E = TypeVar("E", bound=CatalogueEntry)

STRING: Json = {"type": "string"}
FILLED: Json = {"type": "string", "minLength": 1}
INTEGER: Json = {"type": "integer"}
NUMBER: Json = {"type": "number"}
NULL: Json = {"const": None}
MILLISECONDS: Json = {"type": "integer", "minimum": 0}


def document(title: str, paths: Json, components: Json, **more: Any) -> Json:
    """Return an OpenAPI 3.1 document of an emulated API."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{title}, emulated",
            "version": version("face-api-emulator"),
            "description": "What this emulator answers. It is not the vendor's own description.",
        },
        "paths": paths,
        "components": components,
        **more,
    }


def content(schema: Json, media_type: str = "application/json") -> Json:
    """Return the content of a body with that schema."""
    return {media_type: {"schema": schema}}


def reference(name: str) -> Json:
    """Return a reference to a schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Json, **limits: int) -> Json:
    """Return the schema of a list of ``items``."""
    return {"type": "array", "items": items, **limits}


def closed(properties: Json, optional: Iterable[str] = ()) -> Json:
    """Return the schema of an object with these members and no others, required unless ``optional``."""
    absent = set(optional)
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in absent],
        "additionalProperties": False,
    }


def responses(success: Json, errors: Iterable[E], schema_of: Callable[[E], tuple[str, Json]]) -> Json:
    """Return the responses of an operation.

    Parameters
    ----------
    success : dict
        The response to 200.
    errors : iterable of CatalogueEntry
        What else can be answered.
    schema_of : (CatalogueEntry) -> (media type, schema)
        What the body of an error looks like.
    """
    found: Json = {"200": success}
    for entry in errors:
        response = found.setdefault(str(entry.status), {"description": "", "content": {}})
        response["description"] = f"{response['description']} `{entry.name}`: {entry.when}".strip()
        media_type, schema = schema_of(entry)
        body = response["content"].setdefault(media_type, {"schema": {"anyOf": []}})
        if schema not in body["schema"]["anyOf"]:
            body["schema"]["anyOf"].append(schema)
    return found


def pattern_of(text: str) -> str:
    """Return a regular expression for an error's text, whatever stands in its places."""
    special = ".^$*+?()[]|\\/"
    escaped = "".join(f"\\{letter}" if letter in special else letter for letter in text)
    parts = escaped.split("{")
    return "^" + parts[0] + "".join(".+" + part.partition("}")[2] for part in parts[1:]) + "$"


def form(properties: Mapping[str, Json], required: Iterable[str], *, multipart_only: bool = False) -> Json:
    """Return a request body of form fields."""
    schema: Json = {"type": "object", "properties": dict(properties), "required": list(required)}
    types = ["multipart/form-data"] + ([] if multipart_only else ["application/x-www-form-urlencoded"])
    return {"required": True, "content": {media_type: {"schema": schema} for media_type in types}}
