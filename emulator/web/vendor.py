"""What a vendor is to the rest of the house: its names, its dialect and its APIs, and nothing twice."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field, Json

from emulator.world.error_catalogue import CatalogueEntry, VendorError, Wording
from emulator.world.meter import PriceTable
from emulator.world.operation import Operation
from emulator.world.world import World

LIFETIME = "lifetime"
"""Marks a setting that says how long something lives, which a tester may set for a credential."""


class VendorSettings(BaseModel):
    """The base of a vendor's own settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # From the environment it arrives as the text of a JSON object.
    errors: Mapping[str, Wording] | Json[Mapping[str, Wording]] = Field(
        default_factory=dict,
        description="Another `status` or `text` for errors of the catalogue, by name, as a JSON object: "
        "what is guessed can be corrected.",
    )
    prices: PriceTable | Json[PriceTable] = Field(
        default_factory=dict,
        description="What a billed call of an operation costs, or a `unit`, as a JSON object: "
        '`{"<operation>": {"amount": "0.02", "currency": "USD"}}`.',
    )


async def _nobody(_request: Request) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a vendor words what goes wrong, whatever the operation.

    Attributes
    ----------
    render : async (Request, VendorError) -> Response
        Writes an error of the catalogue.
    schema : (CatalogueEntry) -> (media type, schema)
        Describes what ``render`` writes, for OpenAPI.
    defect : CatalogueEntry
        The error for a defect of the emulator.
    too_large : VendorError
        The error for a body that is longer than ``longest_body``, unless the operation has its own.
    longest_body : (settings) -> int or None
        How many bytes a body may have, None for any number, unless the operation has its own limit.
    unknown_path, wrong_method : CatalogueEntry or None
        For paths and methods that are not served; None leaves them to FastAPI's words.
    choose : (Request, VendorError) -> VendorError
        Which error is told in place of another one, where layers answer differently.
    guess_caller : async (Request) -> str or None
        Guesses the credential of a call that reaches no route, by its headers.
    """

    render: Callable[[Request, VendorError], Awaitable[Response]]
    schema: Callable[[Any], tuple[str, dict[str, Any]]]
    defect: CatalogueEntry
    too_large: VendorError
    longest_body: Callable[[Any], int | None]
    unknown_path: CatalogueEntry | None = None
    wrong_method: CatalogueEntry | None = None
    choose: Callable[[Request, VendorError], VendorError] = lambda _request, error: error
    guess_caller: Callable[[Request], Awaitable[str | None]] = _nobody


@dataclass(frozen=True)
class Api:
    """A part of a vendor's offer: one folder, with everything about its operations.

    Attributes
    ----------
    title : str
        What the vendor calls it.
    operations : tuple of Operation
        What clients can call.
    """

    title: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """One emulated vendor: the only name that its folder shows to others.

    Attributes
    ----------
    package : str
        The folder, as Python imports it; its last part is the vendor's name.
    title : str
        What people call the vendor.
    hosts : tuple of str
        The vendor's own host names: a request to one of them is this vendor's, whatever its path.
    prefixes : tuple of str
        The path prefixes that are this vendor's, such as ``/facepp``. Everything below them is
        answered by its application, unknown paths included.
    credential : tuple of str
        The parts of a credential, as the fields or placeholders that carry them are named.
    apis : tuple of Api
        What it offers.
    dialect : Dialect
        How it words what goes wrong.
    settings_model : type of VendorSettings
        Its own settings.
    secrets : tuple of str
        Further fields, members and query parameters that carry credentials or signatures.
    has_webhooks : bool
        Whether it calls its clients.
    security : mapping or None
        How a header carries the credential, as an OpenAPI security scheme; None if a field does.
    install : (FastAPI, World, settings) -> None
        Adds to the application what its routes stand on: jobs, webhooks, counters, middleware.
    """

    package: str
    title: str
    hosts: tuple[str, ...]
    prefixes: tuple[str, ...]
    credential: tuple[str, ...]
    apis: tuple[Api, ...]
    dialect: Dialect
    settings_model: type[VendorSettings] = VendorSettings
    secrets: tuple[str, ...] = ()
    has_webhooks: bool = False
    security: Mapping[str, Any] | None = None
    install: Callable[[FastAPI, World, Any], None] = lambda _app, _world, _settings: None

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.package.rpartition(".")[2]

    @property
    def folder(self) -> Traversable:
        """The folder, wherever the package is installed: contract, golden samples, demonstration."""
        return resources.files(self.package)

    @property
    def secret_fields(self) -> tuple[str, ...]:
        """The fields, members and query parameters whose values are shown to nobody."""
        return (*(self.credential if self.security is None else ()), *self.secrets)

    @cached_property
    def operations(self) -> Mapping[str, Operation]:
        """What clients can call, by name.

        Raises
        ------
        ValueError
            If two operations have one name.
        """
        found: dict[str, Operation] = {}
        for operation in (operation for api in self.apis for operation in api.operations):
            if operation.name in found:
                raise ValueError(f"two operations of {self.name} are named {operation.name}")
            found[operation.name] = operation
        return MappingProxyType(found)

    @cached_property
    def errors(self) -> Mapping[str, CatalogueEntry]:
        """All errors of all operations, by name.

        Raises
        ------
        ValueError
            If two different errors have one name.
        """
        found: dict[str, CatalogueEntry] = {}
        for entry in (entry for operation in self.operations.values() for entry in operation.errors):
            if found.setdefault(entry.name, entry) != entry:
                raise ValueError(f"two errors of {self.name} are named {entry.name}")
        return MappingProxyType(found)

    @property
    def lifetimes(self) -> tuple[str, ...]:
        """The settings that say how long something lives, which a tester may set for a credential."""
        fields = self.settings_model.model_fields
        return tuple(name for name, field in fields.items() if LIFETIME in field.metadata)


def discover_vendors(packages: Sequence[str]) -> tuple[Vendor, ...]:
    """Return the vendors of ``packages``: a package has a ``vendor``, or each of its folders has.

    Raises
    ------
    ValueError
        If a package is not there or has no vendor, or two vendors claim the same name, prefix or host.
    """
    vendors: list[Vendor] = []
    for name in packages:
        try:
            package = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not f"{name}.".startswith(f"{error.name}."):
                raise  # something that it imports is missing
            raise ValueError(f"there is no package {name} to look for vendors in") from error
        found = [package]
        if not hasattr(package, "vendor") and hasattr(package, "__path__"):
            folders = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.ispkg)
            found = [importlib.import_module(f"{name}.{folder}") for folder in folders]
        for each in found:
            if not hasattr(each, "vendor"):
                raise ValueError(f"{each.__name__} has no vendor")
            vendors.append(each.vendor)
    claimed: dict[str, Vendor] = {}
    for vendor in vendors:
        for claim in (vendor.name, *vendor.prefixes, *vendor.hosts):
            if claim in claimed:
                raise ValueError(f"{vendor.package} and {claimed[claim].package} both claim {claim}")
            claimed[claim] = vendor
    return tuple(vendors)
