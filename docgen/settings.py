"""Tables of the emulator's and the vendors' settings."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import BaseModel

from docgen.markdown import code, table
from docgen.schema import accepts
from docgen.vendors import shipped_vendor
from emulator.settings import Settings
from emulator.web.vendor import VendorSettings

HEADER = ("variable", "accepts", "default", "meaning")
PREFIX = "FACE_EMULATOR_"


def emulator_settings() -> str:
    """Return the table of the emulator's own settings."""
    return _table(Settings, PREFIX)


def vendor_settings(name: str) -> str:
    """Return the table of the settings that only this vendor has."""
    model = shipped_vendor(name).settings_model
    return _table(model, f"{PREFIX}VENDORS__{name.upper()}__", without=VendorSettings.model_fields)


def shared_settings() -> str:
    """Return the table of the settings that every vendor has."""
    return _table(VendorSettings, f"{PREFIX}VENDORS__<VENDOR>__")


def _table(model: type[BaseModel], prefix: str, *, without: Collection[str] = ()) -> str:
    schema = model.model_json_schema()
    rows = []
    for name, field in model.model_fields.items():
        if name in without:
            continue
        default = field.default if field.default_factory is None else None
        accepted = accepts(schema["properties"][name], schema)
        if default is None:
            # Without the variable, the setting is null.
            accepted = accepted.replace(" or `null`", "")
        rows.append(
            (
                code(f"{prefix}{name.upper()}"),
                accepted,
                _default(name, default),
                field.description or "",
            )
        )
    return table(HEADER, rows)


def _default(name: str, value: object) -> str:
    if value in (None, (), {}):
        return ""
    if name.endswith("_bytes") and isinstance(value, int) and value % 1024**2 == 0:
        return f"{code(value)} ({value // 1024**2} MiB)"
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, BaseModel):
        return code(value.model_dump_json(exclude_none=True))
    if isinstance(value, tuple):
        items = (f'"{each}"' if isinstance(each, str) else f"{each:g}" for each in value)
        return code(f"[{', '.join(items)}]")
    return code(value)
