"""Operations of the vendors' APIs, each described by one object.

Routing, faults, the control API, OpenAPI, costs, the documentation and the conformance tests use them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from emulator.world.error_catalogue import CatalogueEntry, ErrorCatalogue, VendorError

WEBHOOK = "webhook"
"""Name by which fault rules refer to webhooks, as if they were an operation."""

JSON, MULTIPART, URLENCODED = "application/json", "multipart/form-data", "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Billing:
    """How the vendor bills an operation: by successful calls, and optionally by units such as credits.

    Attributes
    ----------
    units_setting : str or None
        Name of the setting for the number of units per call; None if the vendor counts only calls.
    """

    units_setting: str | None = None

    def units(self, settings: Any) -> int:
        """Return the number of units per call, according to the vendor's ``settings``."""
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
        The operation to call first; its response contains the URL to call.
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
    """A response that is neither a success nor an error of the catalogue.

    ``when`` says when it is sent. ``model`` is its pydantic model.
    """

    when: str
    model: Any = None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """All facts about an operation.

    Attributes
    ----------
    name : str
        Its name in fault rules, the journal, prices, OpenAPI and the documentation.
    methods : tuple of str
        HTTP methods, the documented one first.
    paths : tuple of str
        Path templates, the documented one first.
    endpoint : callable
        The route function for FastAPI. The first line of its docstring says what the operation does.
    errors : ErrorCatalogue
        The errors that it can return, with the exceptions that cause them.
    example : Example
        An example request.
    takes_picture : bool
        Whether the request contains a picture.
    task : str or None
        The kind of task that it creates, if any.
    billing : Billing or None
        How it is billed; None if it is free.
    path_parameters : mapping of str to str
        Descriptions of the parameters in ``paths``, by name.
    query, request : type of pydantic model or None
        Models of the query parameters, and of the body's members or fields. Their fields have descriptions.
    request_types : tuple of str
        The media types of the body.
    response : type or None
        A pydantic model, or a union of several; None if the response is not JSON.
    response_type : str
        The media type of the response.
    other_answers : mapping of int to Answer
        Responses that are neither a success nor an error of the catalogue, by status.
    is_open : bool
        Whether it needs no credential.
    longest_body : (settings) -> int or None, optional
        Returns the largest size of the body in bytes, or None for no limit. The default is the vendor's
        limit.
    too_large : VendorError or None
        The error for a longer body. The default is the vendor's error.
    longest_pause_s : (settings) -> float, optional
        Longest pause in the body, in real seconds. The default is the setting ``body_seconds``.
    timed_out : VendorError or None
        The error for a body that pauses for too long. The default is a plain status 408.
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
    response_type: str = JSON
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
    """Return the operations that a fault rule can match, including ``webhook`` if the vendor has any."""
    return (*contract.operations, *([WEBHOOK] if contract.has_webhooks else []))
