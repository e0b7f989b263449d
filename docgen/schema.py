"""Conversion of JSON schemas to table rows: one row for each member, with a dotted path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from docgen.markdown import code, codes

Json = Mapping[str, Any]

JSON_TEXT = "JSON as text"

FORMATS = {"binary": "file", "date-time": "ISO 8601 time", "uuid": "UUID", "path": "path"}
"""Words for the string formats of JSON Schema."""


@dataclass(frozen=True)
class Member:
    """A member of a JSON object, a form field or a parameter.

    Attributes
    ----------
    path : str
        Dotted path from the root; ``[]`` stands for the items of a list.
    accepts : str
        Its type and limits, in words.
    is_required : bool
        Whether it is required.
    default : str
        Default as a code span; empty if there is none.
    description : str
        Meaning of the member.
    """

    path: str
    accepts: str
    is_required: bool
    default: str
    description: str


def members(schema: Json, document: Json, prefix: str = "", *, depth: int = 4) -> Iterator[Member]:
    """Yield the members of an object, of nested objects, and of all alternatives of a union.

    A member that several alternatives have is yielded once, with all its types and descriptions.

    Parameters
    ----------
    schema : mapping
        Schema of the object.
    document : mapping
        Document with the targets of references: an OpenAPI document, or a schema with ``$defs``.
    prefix : str, optional
        Path of the object.
    depth : int, optional
        Number of levels of nested objects to describe.
    """
    versions: dict[str, list[Json]] = {}
    required: set[str] = set()
    for each in _alternatives(schema, document):
        if each.get("type") == "array":
            yield from members(each.get("items", {}), document, f"{prefix}[]", depth=depth)
            continue
        required.update(each.get("required", ()) if "properties" in each else ())
        for name, member in each.get("properties", {}).items():
            versions.setdefault(name, []).append(member)
    for name, found in versions.items():
        path = f"{prefix}.{name}" if prefix else name
        member = {"anyOf": found}
        yield Member(
            path,
            accepts(member, document),
            name in required,
            next(filter(None, map(_default, found)), ""),
            " ".join(dict.fromkeys(filter(None, (_description(each, document) for each in found)))),
        )
        if depth > 1:
            yield from members(member, document, path, depth=depth - 1)


def accepts(schema: Json, document: Json) -> str:
    """Return the type and the limits of a value in words: ``integer (1 to 10)``."""
    words = list(dict.fromkeys(_words(each, document) for each in _alternatives(schema, document)))
    # Omit JSON as text if there is another type, and integers if numbers are accepted.
    implied = {JSON_TEXT, ""} | ({"integer"} if "number" in words else set())
    known = [word for word in words if word not in implied] or [word for word in words if word]
    return " or ".join(known) or "any JSON"


def resolved(schema: Json, document: Json) -> Json:
    """Return the schema that a reference points to. Other schemas are returned unchanged."""
    while "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    return schema


def _alternatives(schema: Json, document: Json) -> list[Json]:
    """Return the alternatives of a union. A schema that is not a union is its only alternative.

    Annotations next to a reference are dropped. If a schema has properties and a union, the properties come
    first.
    """
    schema = resolved(schema, document)
    for keyword in ("anyOf", "oneOf", "allOf"):
        if keyword in schema:
            common = [{**schema, keyword: []}] if "properties" in schema else []
            parts = [each for part in schema[keyword] for each in _alternatives(part, document)]
            return common + parts
    return [schema]


def _words(schema: Json, document: Json) -> str:
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        return codes(schema["enum"])
    kind = schema.get("type", "")
    if kind == "array":
        return _list(schema, document)
    if kind in {"integer", "number"}:
        limits = _limits(schema)
        return f"{kind} ({limits})" if limits else kind
    return {
        "string": _text(schema),
        "boolean": "`true` or `false`",
        "null": "`null`",
        "object": "object",
    }.get(kind, "")


def _list(schema: Json, document: Json) -> str:
    if "prefixItems" in schema:
        return f"list ({len(schema['prefixItems'])})"
    length = _range(schema.get("minItems"), schema.get("maxItems"))
    return f"list{f' ({length})' if length else ''} of {accepts(schema.get('items', {}), document)}"


def _limits(schema: Json) -> str:
    if "exclusiveMinimum" not in schema:
        return _range(schema.get("minimum"), schema.get("maximum"))
    limits = f"above {_number(schema['exclusiveMinimum'])}"
    limits += f", up to {_number(schema['maximum'])}" if "maximum" in schema else ""
    return limits + (f", below {_number(schema['exclusiveMaximum'])}" if "exclusiveMaximum" in schema else "")


def _text(schema: Json) -> str:
    if "contentSchema" in schema:
        return JSON_TEXT
    # Text in base64 also has a media type.
    is_file = "contentMediaType" in schema and "contentEncoding" not in schema
    return "file" if is_file else FORMATS.get(schema.get("format", ""), "text")


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return _number(low) if low == high else f"{_number(low)} to {_number(high)}"
    if high is not None:
        return f"at most {_number(high)}"
    return "" if low is None else f"at least {_number(low)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def _default(schema: Json) -> str:
    if schema.get("default") in (None, "", [], {}):
        return ""
    value = schema["default"]
    return code(str(value).lower() if isinstance(value, bool) else value)


def _description(schema: Json, document: Json) -> str:
    if "description" in schema:
        return str(schema["description"])
    target = resolved(schema, document)
    text = str(target.get("description", "")) if target is not schema else ""
    return text.partition("\n\n")[0]
