"""Reference of the vendors: operations, errors, credential states, test faces and ledger totals."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from docgen.markdown import code, codes, table
from docgen.schema import Member, accepts, members
from emulator.face.synthetic.named import NAMED_FACES
from emulator.web.openapi import describe
from emulator.web.vendor import Vendor, VendorSettings, discover_vendors
from emulator.world.credentials import REFUSALS
from emulator.world.error_catalogue import Mark
from emulator.world.operation import Operation

ROOT = Path(__file__).parent.parent
OUTCOME = re.compile(r"^\| `(?P<face>[\w-]+)` \| (?P<outcome>`.+?`) \|$", re.MULTILINE)


@cache
def shipped_vendors() -> tuple[Vendor, ...]:
    """Return the vendors of this repository."""
    return discover_vendors(["emulator.vendors"])


def shipped_vendor(name: str) -> Vendor:
    """Return one vendor of this repository.

    Raises
    ------
    LookupError
        If there is no such vendor.
    """
    for vendor in shipped_vendors():
        if vendor.name == name:
            return vendor
    known = ", ".join(vendor.name for vendor in shipped_vendors())
    raise LookupError(f"there is no vendor {name}; there are {known}")


def errors(name: str) -> str:
    """Return the table of a vendor's errors, in the order of its catalogues."""
    vendor = shipped_vendor(name)
    rows = []
    for entry in vendor.errors.values():
        where = [each.name for each in vendor.operations.values() if entry.name in each.errors]
        number = getattr(entry, "code", None)
        said = [code(each) for each in ([number] if isinstance(number, int) else entry.codes)]
        said += [code(entry.text)] if entry.text and code(entry.text) not in said else []
        rows.append(
            (
                code(entry.name),
                "task" if entry.of_task else str(entry.status),
                "<br>".join(said),
                entry.when,
                "all" if len(where) == len(vendor.operations) else codes(where, "and"),
                entry.mark,
            )
        )
    return table(("error", "status", "code and text", "returned when", "operations", "evidence"), rows)


def operations(name: str) -> str:
    """Return a section for each operation of a vendor: its route, parameters and response."""
    vendor = shipped_vendor(name)
    settings = vendor.settings_model()
    document = describe(vendor, settings)
    return "\n\n".join(
        f"### {api.title}\n\n" + "\n\n".join(_operation(each, document, settings) for each in api.operations)
        for api in vendor.loaded_apis
    )


def credential_states() -> str:
    """Return the table of credential states, with the errors that each state causes at each vendor."""
    vendors = shipped_vendors()
    rows = [
        (code(state), *(_refusals(vendor, error) for vendor in vendors)) for state, error in REFUSALS.items()
    ]
    return table(("state", *(vendor.title for vendor in vendors)), rows)


def _refusals(vendor: Vendor, error: type[Exception]) -> str:
    """Return the vendor's errors for ``error`` or, if there are none, for its base class."""
    for cause in error.__mro__[:2]:
        found = [entry.name for entry in vendor.errors.values() if cause in entry.causes]
        if found:
            return codes(found)
    return "accepted"


def test_faces() -> str:
    """Return the table of test faces, with the outcome at each vendor, as the ledgers state it."""
    vendors = shipped_vendors()
    outcomes = {vendor.name: dict(OUTCOME.findall(ledger(vendor))) for vendor in vendors}
    rows = [
        (
            code(name),
            face.shows,
            *(outcomes[vendor.name][name].replace("`success`", "success") for vendor in vendors),
        )
        for name, face in NAMED_FACES.items()
    ]
    return table(("test face", "shows", *(vendor.title for vendor in vendors)), rows)


def ledger_totals() -> str:
    """Return a table of the number of facts in each vendor's ledger, by how well they are known."""
    rows = [
        (
            f"[{vendor.title}](ledgers/{vendor.name}.md)",
            *(str(len(re.findall(rf"\| {mark} \|", ledger(vendor)))) for mark in Mark),
        )
        for vendor in shipped_vendors()
    ]
    return table(("ledger", *Mark), rows)


def ledger(vendor: Vendor) -> str:
    """Return the text of a vendor's ledger."""
    return vendor.folder.joinpath("contract.md").read_text()


def member_table(rows: Iterable[Member], first: str) -> str:
    """Return a table of the members of a request, without empty columns."""
    found = list(rows)
    return _without_empty_columns(
        (first, [code(each.path) for each in found]),
        ("accepts", [each.accepts for each in found]),
        ("required", ["yes" if each.is_required else "" for each in found]),
        ("default", [each.default for each in found]),
        ("meaning", [each.description for each in found]),
    )


def response_table(rows: Iterable[Member]) -> str:
    """Return a table of the members of a response, without empty columns."""
    found = list(rows)
    return _without_empty_columns(
        ("member of the response", [code(each.path) for each in found]),
        ("type", [each.accepts for each in found]),
        ("meaning", [each.description for each in found]),
    )


def _without_empty_columns(*columns: tuple[str, list[str]]) -> str:
    kept = [(title, cells) for title, cells in columns if any(cells)]
    return table([title for title, _ in kept], zip(*(cells for _, cells in kept), strict=True))


def parameter_members(described: Any, document: Any) -> list[Member]:
    """Return the parameters of an OpenAPI operation as ``Member`` objects."""
    return [
        Member(
            each["name"],
            accepts(each["schema"], document).replace(" or `null`", ""),
            each.get("required", False),
            "",
            each.get("description", each["schema"].get("description", "")),
        )
        for each in described.get("parameters", ())
    ]


def _billed(operation: Operation, settings: VendorSettings) -> str:
    if operation.billing is None:
        return ""
    setting = operation.billing.units_setting
    if setting is None:
        return "The vendor bills successful calls."
    units = operation.billing.units(settings)
    cost = {0: "no units", 1: "1 unit"}.get(units, f"{units} units")
    return f"Costs {cost}; the setting `{setting}` changes this."


def _template(path: str) -> str:
    """Return a path without the types of its parameters, as in an OpenAPI document."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)


def _of_other_paths(operation: Operation, document: Any, known: Container[str]) -> list[Member]:
    """Return the parameters of an operation's paths after the first, except those in ``known``."""
    found: dict[str, Member] = {}
    for path in operation.paths[1:]:
        described = document["paths"][_template(path)][operation.method.lower()]
        for each in parameter_members(described, document):
            if each.path not in known:
                found[each.path] = replace(each, is_required=False)
    return list(found.values())


def _picture(operation: Operation) -> str:
    if not operation.takes_picture:
        return ""
    takes_videos = any(each.startswith("video/") for each in operation.request_types)
    return f"The request contains a picture{' or a video' if takes_videos else ''}."


def _operation(operation: Operation, document: Any, settings: VendorSettings) -> str:
    template = _template(operation.path)
    described = document["paths"][template][operation.method.lower()]
    facts = [
        _picture(operation),
        f"Kind of the task: `{operation.task}`." if operation.task else "",
        _billed(operation, settings),
        "Needs no credential." if operation.is_open else "",
        f"Also served at {codes(operation.paths[1:], 'and')}." if len(operation.paths) > 1 else "",
    ]
    parts = [
        f"#### `{operation.name}`: {operation.method} {template}",
        " ".join(filter(None, (f"{operation.summary}.", *facts))),
    ]
    parameters = parameter_members(described, document)
    parameters += _of_other_paths(operation, document, {each.path for each in parameters})
    if parameters:
        parts.append(member_table(parameters, "parameter"))
    body = described.get("requestBody", {}).get("content", {})
    if body:
        (schema, *_) = (content["schema"] for content in body.values())
        rows = list(members(schema, document))
        parts.append(f"Request body: {codes(body)}.")
        if rows:
            parts.append(member_table(rows, "field"))
    answers = described["responses"]["200"]["content"]
    (schema, *_) = (content["schema"] for content in answers.values())
    rows = list(members(schema, document))
    parts.append(f"Response: {codes(answers)}.")
    if rows:
        parts.append(response_table(rows))
    if operation.example.json is not None and operation.method != "GET":
        text = json.dumps(operation.example.json, indent=2)
        parts.append(f"Example of a body:\n\n```json\n{text}\n```")
    return "\n\n".join(parts)
