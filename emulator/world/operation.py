"""``Operation``, which describes one operation of a vendor's API.

Routing, faults, the control API, OpenAPI, costs, the documentation and the conformance tests use the
descriptions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from emulator.world.error_catalogue import CatalogueEntry, ErrorCatalogue, VendorError

WEBHOOK = "webhook"
"""Name of webhooks in fault rules, which treat webhooks as one more operation."""

JSON, MULTIPART, URLENCODED = "application/json", "multipart/form-data", "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Billing:
    """How the vendor bills an operation: a price per successful call, or a number of units such as credits.

    Attributes
    ----------
    units_setting : str or None
        Name of the setting with the number of units per call; None if the vendor bills no units.
    """

    units_setting: str | None = None

    def units(self, settings: Any) -> int:
        """Return the number of units that a call costs, from the vendor's ``settings``."""
        return 0 if self.units_setting is None else int(getattr(settings, self.units_setting))


@dataclass(frozen=True, kw_only=True)
class Example:
    """An example request. Placeholders such as ``{key}`` stand for parts of the credential.

    Attributes
    ----------
    path : str or None
        The concrete path, if the operation's path has parameters.
    headers, query, form : mapping of str to str
        Headers, query parameters and form fields.
    json : object
        The JSON body, if there is one.
    files : mapping of str to str
        File fields of the form, each with the test face to send (see ``face-emulator faces``).
    needs : str or None
        Name of the operation to call first. Its response contains the URL for the example request.
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
    """A kind of response that is neither a success nor an error of the vendor's catalogue.

    ``when`` says when the response is sent. ``model`` is the pydantic model of the response body, or None.
    """

    when: str
    model: Any = None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """All facts about an operation of a vendor's API.

    Attributes
    ----------
    name : str
        Name of the operation in fault rules, the journal, prices, OpenAPI and the documentation.
    methods : tuple of str
        HTTP methods, the documented one first.
    paths : tuple of str
        Path templates, the documented one first.
    endpoint : callable
        The route function for FastAPI. The first line of its docstring says what the operation does.
    errors : ErrorCatalogue
        The errors that the operation can return, with the exceptions that cause them.
    example : Example
        An example request.
    takes_picture : bool
        Whether the request contains a picture.
    task : str or None
        The kind of task that the operation creates, if any.
    billing : Billing or None
        How the operation is billed; None if it is free.
    path_parameters : mapping of str to str
        Descriptions of the parameters in ``paths``, by name.
    query, request : type of pydantic model or None
        Models of the query parameters and of the request body. Each field of a model has a description.
    request_types : tuple of str
        The media types of the request body.
    response : type or None
        A pydantic model, or a union of several; None if the response is not JSON.
    response_types : tuple of str
        The media types of the response.
    other_answers : mapping of int to Answer
        Responses that are neither a success nor an error of the catalogue, by status.
    is_open : bool
        Whether the operation needs no credential.
    longest_body : (settings) -> int or None, optional
        Returns the largest size of the request body in bytes, or None for no limit. The default is the
        vendor's limit.
    too_large : VendorError or None
        The error for a longer request body. The default is the vendor's error.
    longest_pause_s : (settings) -> float, optional
        Longest pause in the request body, in real seconds. The default is the setting ``body_seconds``.
    timed_out : VendorError or None
        The error for a request body that pauses for too long. The default is a plain status 408.
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
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    query: Any = None
    request: Any = None
    request_types: tuple[str, ...] = (JSON,)
    response: Any = None
    response_types: tuple[str, ...] = (JSON,)
    other_answers: Mapping[int, Answer] = field(default_factory=dict)
    is_open: bool = False
    longest_body: Callable[[Any], int | None] | None = None
    too_large: VendorError | None = None
    longest_pause_s: Callable[[Any], float] | None = None
    timed_out: VendorError | None = None

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
        """What the operation does: the first line of the endpoint's docstring."""
        first, _, _ = (inspect.getdoc(self.endpoint) or "").partition("\n")
        return first.removesuffix(".")


class Contract(Protocol):
    """The facts about a vendor that the package ``emulator.world`` needs."""

    @property
    def name(self) -> str:
        """Name of the vendor."""

    @property
    def operations(self) -> Mapping[str, Operation]:
        """The operations that clients can call, by name."""

    @property
    def errors(self) -> Mapping[str, CatalogueEntry]:
        """All errors of all operations, by name."""

    @property
    def has_webhooks(self) -> bool:
        """Whether the vendor sends webhooks."""


def callable_names(contract: Contract) -> Sequence[str]:
    """Return the names that a rule can use as its operation, with ``webhook`` if the vendor has webhooks."""
    return (*contract.operations, *([WEBHOOK] if contract.has_webhooks else []))
