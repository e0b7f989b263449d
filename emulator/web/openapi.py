"""The OpenAPI 3.1 document of an emulated vendor, generated from its operations and current settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from emulator.version import VERSION
from emulator.web.vendor import Vendor, VendorSettings
from emulator.world.operation import Operation

Json = dict[str, Any]
Models = Mapping[tuple[Any, JsonSchemaMode], Json]
"""Schemas by model and mode."""
REFERENCE = "#/components/schemas/{model}"


@dataclass(frozen=True)
class SettingValue:
    """Placeholder in a model's JSON schema. It stands for the value of a vendor's setting, plus ``add``.

    Use the placeholder in the ``json_schema_extra`` of a model, not in that of a field: in a field, Pydantic
    would convert the placeholder to JSON before the emulator replaces it with the value.
    """

    setting: str
    add: int = 0


def describe(vendor: Vendor, settings: VendorSettings) -> Json:
    """Return the OpenAPI document of a vendor's operations. Limits in the document come from ``settings``."""
    schemas, components = _schemas(vendor.operations.values())
    paths: Json = {}
    for operation in vendor.operations.values():
        for number, path in enumerate(operation.paths):
            described = _operation(vendor, operation, path, settings, schemas)
            described["operationId"] = operation.name if number == 0 else f"{operation.name}_{number + 1}"
            template = re.sub(r"\{(\w+):\w+\}", r"{\1}", path)
            paths.setdefault(template, {})[operation.method.lower()] = described
    document: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": f"{vendor.title}, emulated",
            "version": VERSION,
            "description": "The API as this emulator serves it. This is not the vendor's own document. A "
            "setting such as `errors` is the emulator's environment variable "
            f"`FACE_EMULATOR_VENDORS__{vendor.name.upper()}__ERRORS`; the setting `strict` is "
            "`FACE_EMULATOR_STRICT`. A tester sets the state of a credential with "
            "`PUT /_emulator/credentials`.",
        },
        "paths": paths,
        "components": {"schemas": components},
    }
    if vendor.security is not None:
        document["components"]["securitySchemes"] = {"credential": vendor.security}
        document["security"] = [{"credential": []}]
    resolved: Json = _resolved(document, settings)
    return resolved


def narrowed(model: type[BaseModel], **texts: str | int) -> Json:
    """Return the JSON schema of the body of one error: the schema of ``model``, with fixed values.

    ``texts`` has the fixed values, by name of the member. A text with placeholders in braces becomes a
    regular expression. Any other value becomes a constant.
    """
    schema = model.model_json_schema(mode="serialization")
    properties = dict(schema["properties"])
    for name, value in texts.items():
        is_text = isinstance(value, str) and "{" in value
        limit = {"type": "string", "pattern": pattern_of(str(value))} if is_text else {"const": value}
        about = {key: each for key, each in properties[name].items() if key == "description"}
        properties[name] = {**about, **limit}
    return {**schema, "properties": properties}


def pattern_of(text: str) -> str:
    """Return a regular expression for an error's text. A placeholder in braces matches any text."""
    special = ".^$*+?()[]|\\/"
    escaped = "".join(f"\\{letter}" if letter in special else letter for letter in text)
    parts = escaped.split("{")
    return "^" + parts[0] + "".join(".+" + part.partition("}")[2] for part in parts[1:]) + "$"


class _Schemas(GenerateJsonSchema):
    """A schema generator. If a member can be absent but not null, its schema has no default."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Return the schema of a member with a default value."""
        described = super().default_schema(schema)
        if "default" in described and described["default"] is None and described.get("type") != "null":
            is_nullable = any(each.get("type") == "null" for each in described.get("anyOf", ()))
            return described if is_nullable else {k: v for k, v in described.items() if k != "default"}
        return described


def _schemas(operations: Iterable[Operation]) -> tuple[Models, Json]:
    """Return the schemas of the models of all operations, and the components that the schemas refer to."""
    wanted: list[tuple[Any, JsonSchemaMode]] = []
    for operation in operations:
        wanted += [(operation.query, "validation"), (operation.request, "validation")]
        others = (answer.model for answer in operation.other_answers.values())
        wanted += [(model, "serialization") for model in (operation.response, *others)]
    adapters = [
        ((model, mode), mode, TypeAdapter(model))
        for model, mode in dict.fromkeys(wanted)
        if model is not None
    ]
    found, defined = TypeAdapter.json_schemas(
        [(str(number), mode, adapter) for number, (_, mode, adapter) in enumerate(adapters)],
        ref_template=REFERENCE,
        schema_generator=_Schemas,
    )
    schemas = {key: found[str(number), mode] for number, (key, mode, _) in enumerate(adapters)}
    return schemas, defined.get("$defs", {})


def _operation(
    vendor: Vendor, operation: Operation, path: str, settings: VendorSettings, schemas: Models
) -> Json:
    described: Json = {
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation, path), *_query_parameters(operation)],
        "responses": _responses(vendor, operation, settings, schemas),
    }
    if vendor.security is not None and operation.is_open:
        described["security"] = []
    if operation.request is not None:
        schema = schemas[operation.request, "validation"]
        described["requestBody"] = {
            "required": True,
            "content": {media_type: {"schema": schema} for media_type in operation.request_types},
        }
    return described


def _path_parameters(operation: Operation, path: str) -> list[Json]:
    schema = {"type": "string", "minLength": 1}
    return [
        {
            "name": name,
            "in": "path",
            "description": operation.path_parameters.get(name, ""),
            "required": True,
            "schema": schema,
        }
        for name in re.findall(r"\{(\w+)", path)
    ]


def _query_parameters(operation: Operation) -> list[Json]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema(ref_template=REFERENCE)
    return [
        {
            "name": name,
            "in": "query",
            "description": described.pop("description", ""),
            "required": name in schema.get("required", ()),
            "schema": described,
        }
        for name, described in schema["properties"].items()
    ]


def _responses(vendor: Vendor, operation: Operation, settings: VendorSettings, schemas: Models) -> Json:
    success = (
        {"type": "string"} if operation.response is None else schemas[operation.response, "serialization"]
    )
    found: Json = {
        "200": {
            "description": "Success.",
            "content": {media_type: {"schema": success} for media_type in operation.response_types},
        }
    }

    def add(status: int, description: str, media_type: str, schema: Json) -> None:
        response = found.setdefault(str(status), {"description": "", "content": {}})
        response["description"] = f"{response['description']} {description}".strip()
        body = response["content"].setdefault(media_type, {"schema": {"anyOf": []}})
        if schema not in body["schema"]["anyOf"]:
            body["schema"]["anyOf"].append(schema)

    for entry in operation.errors:
        if not entry.of_task and (not entry.methods or operation.method in entry.methods):
            error = entry.occur(**{**dict.fromkeys(_places(entry.text), ""), **entry.example})
            in_force = error.overridden(settings.errors.get(entry.name)).entry
            add(in_force.status, f"`{entry.name}`: {entry.when}", *vendor.dialect.schema(in_force))
    for status, answer in operation.other_answers.items():
        if answer.model is None:
            found[str(status)] = {"description": answer.when}
        else:
            add(status, answer.when, "application/json", schemas[answer.model, "serialization"])
    return found


def _places(text: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", text)


def _resolved(value: Any, settings: VendorSettings) -> Any:
    """Return a document in which each ``SettingValue`` is replaced by the value of its setting."""
    if isinstance(value, SettingValue):
        return getattr(settings, value.setting) + value.add
    if isinstance(value, dict):
        return {name: _resolved(member, settings) for name, member in value.items()}
    return [_resolved(member, settings) for member in value] if isinstance(value, list) else value
