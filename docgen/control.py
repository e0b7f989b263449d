"""Reference of the control API, generated from its OpenAPI document."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from docgen.markdown import code
from docgen.schema import members
from docgen.vendors import member_table, parameter_members, response_table
from emulator.app import create_app
from emulator.settings import Settings


def control_api() -> str:
    """Return a section for each group of routes, with a subsection for each route."""
    document = create_app(Settings(workers=1)).openapi()
    routes = [
        (described.get("tags", ["other"])[0], method.upper(), path, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]
    sections = []
    for tag, found in groupby(routes, key=lambda route: route[0]):
        parts = [f"## {tag.capitalize()}"]
        parts += [_route(method, path, described, document) for _, method, path, described in found]
        sections.append("\n\n".join(parts))
    return "\n\n".join(sections)


def _route(method: str, path: str, described: Any, document: Any) -> str:
    parts = [f"### {method} {path}", f"{described['summary']}.", described.get("description", "")]
    parameters = parameter_members(described, document)
    if parameters:
        parts.append(member_table(parameters, "parameter"))
    for content in described.get("requestBody", {}).get("content", {}).values():
        rows = list(members(content.get("schema", {}), document, depth=3))
        parts.append(member_table(rows, "member of the body") if rows else "")
    for status, answer in described["responses"].items():
        for media_type, content in answer.get("content", {}).items() if status.startswith("2") else ():
            schema = content.get("schema", {})
            rows = list(members(schema, document, depth=1))
            if rows:
                parts.append(response_table(rows))
            elif media_type != "application/json":
                parts.append(f"Returns {code(media_type)}.")
    return "\n\n".join(filter(None, parts))
