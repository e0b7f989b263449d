"""``Vendor``, the description of an emulated vendor: its names, APIs, settings and error format."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field, Json

from emulator.world.error_catalogue import CatalogueEntry, ErrorOverride, VendorError
from emulator.world.meter import PriceTable
from emulator.world.operation import Operation
from emulator.world.world import World

SHIPPED = "emulator.vendors"
"""Package of the vendors of this project."""

LIFETIME = "lifetime"
"""Annotation of settings that are lifetimes. A tester can override these settings for a credential."""


class VendorSettings(BaseModel):
    """Base class of a vendor's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # In environment variables, the settings of type ``Json`` are texts with a JSON object.
    errors: Mapping[str, ErrorOverride] | Json[Mapping[str, ErrorOverride]] = Field(
        default_factory=dict,
        description="Replacements of the `status` or `text` of errors, as a JSON object by error name: "
        '`{"<error>": {"status": 404}}`. Use it to correct a guess of the emulator.',
    )
    prices: PriceTable | Json[PriceTable] = Field(
        default_factory=dict,
        description="Prices of calls, as a JSON object by operation name: "
        '`{"<operation>": {"amount": "0.02", "currency": "USD"}}`. The key `unit` sets the price of one unit '
        "of a vendor that bills units, such as credits.",
    )


async def _nobody(_request: Request) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a vendor formats errors, and how it answers requests that no route answers.

    Attributes
    ----------
    render : async (Request, VendorError) -> Response
        Renders an error of the catalogue.
    schema : (CatalogueEntry) -> (media type, schema)
        Describes the body that ``render`` writes, for OpenAPI.
    defect : CatalogueEntry
        The error for an unexpected exception in the emulator.
    too_large : VendorError
        The error for a body longer than ``longest_body``. An operation can have its own error.
    longest_body : (settings) -> int or None
        Longest request body, in bytes; None for no limit. An operation can have its own limit.
    unknown_path, wrong_method : CatalogueEntry or None
        The errors for paths and methods that are not served; None for FastAPI's own responses.
    choose : (Request, VendorError) -> VendorError
        Returns the error to send in place of the given one, for vendors with errors that depend on the part
        of the service that answers. By default, returns the given error.
    guess_caller : async (Request) -> str or None
        Guesses the credential of a request that no route answers.
    open_paths : tuple of str
        Path prefixes. Web pages of all origins may read responses of paths that begin with one of them. Pages
        of this machine and of the setting ``origins`` may read the responses of all paths. If the tuple is
        empty, no page of another origin can read any response.
    exposed_headers : tuple of str
        Response headers that web pages may read.
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
    open_paths: tuple[str, ...] = ()
    exposed_headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Api:
    """One API of a vendor. Each API has its own folder.

    Attributes
    ----------
    title : str
        The vendor's name for the API.
    operations : tuple of Operation
        The operations that clients can call.
    """

    title: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """One emulated vendor. Other packages import only this object from the vendor's folder.

    Attributes
    ----------
    package : str
        Import path of the vendor's folder. The last part of the path is the vendor's name.
    title : str
        Name to show to people.
    hosts : tuple of str
        The vendor's own host names. The vendor gets every request to them, whatever the path.
    stores : mapping of str to str
        Host names of the vendor's file stores, each with the path prefix that it serves.
    prefixes : tuple of str
        The vendor's path prefixes, such as ``/facepp``. The vendor gets all requests for paths below them,
        including unknown paths.
    credential : tuple of str
        Names of the parts of a credential, as in request fields and in the placeholders of golden samples.
    apis : tuple of (str or Api)
        The APIs of the vendor. A name stands for a subfolder of the vendor. The module ``operations`` in this
        folder must define the variable ``api``. It is imported when the emulator needs an operation.
    api_paths : mapping of str to tuple of str
        The beginnings of the paths of an API in ``apis``, by its name. The first request to such a path only
        imports this API. The first request to any other path imports all APIs.
    dialect : Dialect
        How the vendor formats errors.
    settings_model : type of VendorSettings
        The model of the vendor's own settings.
    secrets : tuple of str
        Names of further values to mask: fields, members and query parameters that contain credentials or
        signatures.
    has_webhooks : bool
        Whether the vendor sends webhooks.
    security : mapping or None
        OpenAPI security scheme, if the credential is in a header. None if the credential is in the body.
    install : (FastAPI, World, settings) -> None
        Adds to the application what the routes need: jobs, webhooks, counters, middleware.
    """

    package: str
    title: str
    hosts: tuple[str, ...]
    prefixes: tuple[str, ...]
    credential: tuple[str, ...]
    apis: tuple[str | Api, ...]
    dialect: Dialect
    api_paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings_model: type[VendorSettings] = VendorSettings
    secrets: tuple[str, ...] = ()
    stores: Mapping[str, str] = field(default_factory=dict)
    has_webhooks: bool = False
    security: Mapping[str, Any] | None = None
    install: Callable[[FastAPI, World, Any], None] = lambda _app, _world, _settings: None

    @cached_property
    def name(self) -> str:
        """Name of the vendor: the name of its folder."""
        return self.package.rpartition(".")[2]

    @property
    def folder(self) -> Traversable:
        """The vendor's folder, with its ledger, golden samples and demonstration."""
        return resources.files(self.package)

    @property
    def secret_fields(self) -> tuple[str, ...]:
        """Names of the fields, members and query parameters whose values are masked."""
        return (*(self.credential if self.security is None else ()), *self.secrets)

    @cached_property
    def loaded_apis(self) -> tuple[Api, ...]:
        """The APIs of the vendor."""
        return tuple(map(self.load, self.apis))

    def load(self, api: str | Api) -> Api:
        """Return an API of ``apis``. Import it if it is a name."""
        if isinstance(api, Api):
            return api
        found: Api = importlib.import_module(f"{self.package}.{api}.operations").api
        return found

    def api_at(self, path: str) -> str | None:
        """Return the name of the only API that can serve a path, or None if ``api_paths`` does not say so."""
        for name, beginnings in self.api_paths.items():
            if any(path == each or path.startswith(f"{each}/") for each in beginnings):
                return name
        return None

    @cached_property
    def operations(self) -> Mapping[str, Operation]:
        """The operations that clients can call, by name.

        Raises
        ------
        ValueError
            If two operations have the same name.
        """
        found: dict[str, Operation] = {}
        for operation in (operation for api in self.loaded_apis for operation in api.operations):
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
            If two different errors have the same name.
        """
        found: dict[str, CatalogueEntry] = {}
        for entry in (entry for operation in self.operations.values() for entry in operation.errors):
            if found.setdefault(entry.name, entry) != entry:
                raise ValueError(f"two errors of {self.name} are named {entry.name}")
        return MappingProxyType(found)

    @property
    def lifetimes(self) -> tuple[str, ...]:
        """Names of the settings that are lifetimes, which a tester can override for a credential."""
        fields = self.settings_model.model_fields
        return tuple(name for name, field in fields.items() if LIFETIME in field.metadata)


def _checked(vendor: Vendor, package: str) -> Vendor:
    """Return the vendor. Raise ValueError if two of its operations or errors have the same name."""
    # Tests check the vendors of this project, so a start does not load their operations.
    if package != SHIPPED:
        _ = vendor.operations, vendor.errors
    return vendor


def discover_vendors(packages: Sequence[str]) -> tuple[Vendor, ...]:
    """Return the vendors of ``packages``.

    A package must have a variable ``vendor``, or each of its subpackages must have this variable.

    Raises
    ------
    ValueError
        If a package does not exist or has no vendor, or two vendors claim the same name, prefix or host.
    """
    vendors: list[Vendor] = []
    for name in packages:
        try:
            package = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not f"{name}.".startswith(f"{error.name}."):
                raise  # a module that the package imports is missing
            raise ValueError(f"the vendor package {name} does not exist") from error
        found = [package]
        if not hasattr(package, "vendor") and hasattr(package, "__path__"):
            folders = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.ispkg)
            found = [importlib.import_module(f"{name}.{folder}") for folder in folders]
        for each in found:
            if not hasattr(each, "vendor"):
                raise ValueError(f"{each.__name__} has no vendor")
            vendors.append(_checked(each.vendor, name))
    claimed: dict[str, Vendor] = {}
    for vendor in vendors:
        for claim in (vendor.name, *vendor.prefixes, *vendor.hosts, *vendor.stores):
            if claim in claimed:
                raise ValueError(f"{vendor.package} and {claimed[claim].package} both claim {claim}")
            claimed[claim] = vendor
    return tuple(vendors)
