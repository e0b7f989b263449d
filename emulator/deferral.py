"""What makes Pydantic build validators when they are first used, and not when the emulator starts."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.warnings import UnsupportedFieldAttributeWarning

T = TypeVar("T")


def defer_models() -> None:
    """Let Pydantic build the validators of a model at its first use, and not when its class is created.

    This is the setting ``defer_build`` of Pydantic for all models of this process whose classes are created
    after the call. It is called before FastAPI is imported, because FastAPI has forty models for OpenAPI
    documents, which no response to a client needs. Building them takes a fifth of the import of FastAPI.
    """
    BaseModel.model_config = ConfigDict(defer_build=True)
    # FastAPI ignores this warning while it creates the parameters of routes, but not at their first use.
    warnings.filterwarnings("ignore", category=UnsupportedFieldAttributeWarning)


class DeferredAdapter(Generic[T]):
    """A ``TypeAdapter`` that is built at its first use.

    Pydantic cannot defer the adapters of dataclasses, unless the dataclasses themselves depend on Pydantic.

    Parameters
    ----------
    kind : type
        The type of the values.
    """

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self._kind)

    def validate_python(self, value: Any, *, from_attributes: bool | None = None) -> T:
        """Validate a Python object."""
        return self._adapter.validate_python(value, from_attributes=from_attributes)

    def validate_json(self, text: str, *, strict: bool | None = None) -> T:
        """Validate JSON."""
        return self._adapter.validate_json(text, strict=strict)
