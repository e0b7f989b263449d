"""An operation of a vendor's API: one value that holds every fact about it.

Routing, faults, the control API's listings, OpenAPI, costs, the documentation and the conformance tests
all read it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from emulator.world.error_catalogue import CatalogueEntry, ErrorCatalogue, VendorError

WEBHOOK = "webhook"
"""The operation by which the emulator calls its clients, as fault rules name it."""

JSON, MULTIPART, URLENCODED = "application/json", "multipart/form-data", "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Billing:
    """How the vendor bills an operation: each successful call, and the units that it takes.

    Attributes
    ----------
    units_setting : str or None
        The vendor's setting that says how many units; None where the vendor counts calls alone.
    """

    units_setting: str | None = None

    def units(self, settings: Any) -> int:
        """Return how many units one call takes under these settings."""
        return 0 if self.units_setting is None else int(getattr(settings, self.units_setting))


@dataclass(frozen=True, kw_only=True)
class Example:
    """A request that a client could send; ``{name}`` stands for a part of the credential.

    Attributes
    ----------
    path : str or None
        The path, where the operation's has parameters.
    headers, query, form : mapping of str to str
        What is sent there.
    json : object
        The body, where that is JSON.
    files : mapping of str to str
        Form fields, and the test face (see ``face-emulator faces``) that each carries.
    needs : str or None
        The operation that has to be called before, whose answer holds the URL to call.
    """

    path: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    files: Mapping[str, str] = field(default_factory=dict)
    needs: str | None = None


@dataclass(frozen=True)
class Answer:
    """An answer that is neither success nor an error of the catalogue: when, and its pydantic model."""

    when: str
    model: Any = None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """Everything there is to know about an operation.

    Attributes
    ----------
    name : str
        Its one name: in fault rules, the journal, prices, OpenAPI and the documentation.
    methods : tuple of str
        HTTP methods, the documented one first.
    paths : tuple of str
        Path templates, the documented one first.
    endpoint : callable
        The route function, which FastAPI calls. Its docstring begins with what the operation does.
    errors : ErrorCatalogue
        What it can answer instead, and the domain error that each error stands for here.
    example : Example
        A request.
    takes_picture : bool
        Whether a picture comes with the call.
    task : str or None
        The kind of task that it creates.
    billing : Billing or None
        How it is billed; None if it is free.
    query, request : type of pydantic model or None
        Query parameters, and the members or fields of the body.
    request_types : tuple of str
        The media types of the body.
    response : type or None
        A pydantic model, or a union of several; None if the answer is not JSON.
    response_type : str
        The media type of the answer.
    other_answers : mapping of int to Answer
        What else it answers that is no error of the catalogue, by status.
    is_open : bool
        Whether it is served without a credential.
    longest_body : (settings) -> int or None, optional
        How many bytes a body may have, None for any number; the vendor's own limit if not given.
    too_large : VendorError or None
        The answer to a longer body; the vendor's own if not given.
    """

    name: str
    methods: tuple[str, ...]
    paths: tuple[str, ...]
    endpoint: Callable[..., Any]
    errors: ErrorCatalogue[CatalogueEntry]
    example: Example
    takes_picture: bool = False
    task: str | None = None
    billing: Billing | None = None
    query: Any = None
    request: Any = None
    request_types: tuple[str, ...] = (JSON,)
    response: Any = None
    response_type: str = JSON
    other_answers: Mapping[int, Answer] = field(default_factory=dict)
    is_open: bool = False
    longest_body: Callable[[Any], int | None] | None = None
    too_large: VendorError | None = None

    @property
    def method(self) -> str:
        """The documented HTTP method."""
        return self.methods[0]

    @property
    def path(self) -> str:
        """The documented path."""
        return self.paths[0]

    @property
    def summary(self) -> str:
        """What the operation does, in a few words."""
        first, _, _ = (inspect.getdoc(self.endpoint) or "").partition("\n")
        return first.removesuffix(".")


class Contract(Protocol):
    """What the rest of the world has to know of a vendor."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What clients can call, by name."""

    @property
    def errors(self) -> Mapping[str, CatalogueEntry]:
        """All errors of all operations, by name."""

    @property
    def has_webhooks(self) -> bool:
        """Whether it calls its clients."""


def callable_names(contract: Contract) -> Sequence[str]:
    """Return the operations that a fault rule can name: the vendor's, and its webhooks."""
    return (*contract.operations, *([WEBHOOK] if contract.has_webhooks else []))
