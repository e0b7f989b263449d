"""All vendors, and the test data of each vendor.

Each vendor has a ``natural.py``, in tests/vendors/<name> or, for a vendor from elsewhere, in its own folder:

- ``NATURAL``: for each error, a function that provokes it without a fault and returns the response
- ``CALLS``: for each operation with an example that fails before its key is checked, a call that gets further
- ``outcome(client, key, data)``: the outcome of a photo, ``"success"`` or the vendor's error text
- ``PICTURE_FAULTS``: for each picture fault, the outcome of a photo that succeeds without it
- ``LAYERS``: requests, as path and options, that the layers of the vendor refuse
- ``STRICT``: the settings that the errors of ``NATURAL`` need
- ``SETTINGS``: a value for every setting, different from its default
- ``SCHEMATHESIS``, if needed: the configuration of Schemathesis for the vendor, in TOML
- for a vendor with tasks, ``flow(world, operation, **headers)``: the first poll that reports the end of a
  task, ``failed(entry)``: the body of this poll for an error, and ``accounts(world)``: what the key is billed
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from emulator.settings import Settings
from emulator.web.vendor import Vendor, discover_vendors
from emulator.world.operation import Example, Operation

ROOT = Path(__file__).parent.parent
FACES = ROOT / "fixtures" / "faces"
VENDORS = {vendor.name: vendor for vendor in discover_vendors(Settings().vendor_packages)}

per_vendor = pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda vendor: vendor.name)


def is_shipped(vendor: Vendor) -> bool:
    """Return whether a vendor is part of the package."""
    return vendor.package.startswith("emulator.vendors.")


@cache
def data_of(vendor: str) -> ModuleType:
    """Return a vendor's ``natural.py`` as a module."""
    folder = ROOT / "tests" / "vendors" / vendor
    path = (folder if folder.exists() else Path(str(VENDORS[vendor].folder))) / "natural.py"
    spec = importlib.util.spec_from_file_location(f"natural_{vendor}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ledger_of(vendor: Vendor) -> str:
    """Return the text of a vendor's contract.md."""
    return vendor.folder.joinpath("contract.md").read_text()


def calls_of(vendor: Vendor) -> Mapping[str, Callable[..., Any]]:
    """Return a function for each operation that calls it: ``(world, **headers) -> response``."""
    examples = {operation.name: partial(_send, vendor, operation) for operation in vendor.operations.values()}
    return {**examples, **data_of(vendor.name).CALLS}


def _send(vendor: Vendor, operation: Operation, world: Any, **headers: str) -> Any:
    """Send the example of an operation with the world's key."""
    example: Example = operation.example
    parts = dict.fromkeys(vendor.credential, "s") | {vendor.credential[0]: world.key}

    def filled(value: Any) -> Any:
        if isinstance(value, str):
            return value.format(**parts)
        return {name: filled(each) for name, each in value.items()}

    files = {name: (FACES / f"{face}.jpg").read_bytes() for name, face in example.files.items()}
    json = example.json
    if isinstance(json, dict):
        json = {name: filled(value) if isinstance(value, str) else value for name, value in json.items()}
    return world.client.request(
        operation.method,
        example.path or operation.path,
        headers={**filled(example.headers), **headers},
        params=filled(example.query),
        data=filled(example.form) or None,
        files=files or None,
        json=json,
    )
