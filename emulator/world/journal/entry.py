"""Models of a recorded call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, computed_field

PROXY_VENDOR = "proxy"
"""The ``vendor`` of a request to the proxy for a host that the emulator does not serve."""

SERVER_VENDOR = "server"
"""The ``vendor`` of a request that the server refused and that belongs to no vendor."""


class RecordedCall(BaseModel):
    """A recorded call, with secrets masked and pictures replaced by their digests."""

    number: int = Field(description="Number of the call, counted from 1 across all credentials.")
    vendor: str = Field(
        description="Name of the vendor. `proxy` for a request to the forward proxy for a host that is not "
        "emulated. `server` for any other request that belongs to no vendor and was refused."
    )
    operation: str | None = Field(
        description="Name of the operation; null for a path or method that is not served."
    )
    credential: str | None = Field(description="Masked credential; null if it is unknown.")
    method: str = Field(description="HTTP method.")
    path: str = Field(description="Path, without the query.")
    url: str = Field(description="Scheme and `Host` of the request.")
    query: list[tuple[str, str]] = Field(description="Name and value of each query parameter.")
    request_headers: list[tuple[str, str]] = Field(description="Name and value of each request header.")
    sent: dict[str, Any] | None = Field(
        description="Request body. `kind` is `json`, `form`, `multipart`, `text` or `binary`. A `form` or "
        "`multipart` has `fields`. A `binary` body has only `bytes` (its length) and `sha256` (its "
        "digest). Null if no body was read."
    )
    status: int | None = Field(
        description="HTTP status of the response; null if the connection was dropped without a response."
    )
    is_complete: bool = Field(description="Whether the whole response was sent.")
    response_headers: list[tuple[str, str]] = Field(description="Name and value of each response header.")
    answer: dict[str, Any] | None = Field(
        description="Response body. `kind` is `json`, `text` or `binary`. A `binary` body has only "
        "`bytes` (its length) and `sha256` (its digest). Null if the body is empty."
    )
    started_at: float = Field(
        description="When the call started, by the credential's clock, in seconds since the Unix epoch."
    )
    real_started_at: float = Field(
        description="When the call started, by the machine's clock, in seconds since the Unix epoch."
    )
    duration_ms: float = Field(
        description="Real milliseconds until the last part of the response was ready to be sent."
    )
    fault: dict[str, Any] | None = Field(
        description="Injected fault, with its `effect` and its `source` (`rule <id>`, `header` or "
        "`credential`). Null if no fault was injected."
    )
    warnings: list[dict[str, str | int]] = Field(
        description="Warnings about the request, each with `code` and `detail`. If there are more than 20 "
        "warnings of one kind, 20 are listed, followed by an item with the number of the others in `count`."
    )

    @computed_field(description="The path. For a request to the forward proxy, the host and the path.")  # type: ignore[prop-decorator]  # mypy does not know this decorator
    @property
    def target(self) -> str:
        """The path. For a request to the forward proxy, the host and the path."""
        host = self.url.partition("://")[2]
        if self.vendor != PROXY_VENDOR:
            return self.path
        return host if self.method == "CONNECT" else f"{self.url}{self.path}"


class Entry(RecordedCall):
    """A recorded call with its unmasked credential. The control API never returns this credential."""

    exact_credential: str | None = Field(exclude=True)

    def to_document(self) -> dict[str, Any]:
        """Return the entry as a JSON object for the database."""
        return {**self.model_dump(mode="json"), "exact_credential": self.exact_credential}


@dataclass(eq=False, slots=True)
class LazyCall:
    """A recorded call whose ``entry`` is built on access.

    ``held_bytes`` is the memory that the call takes while its entry is not built. ``ended_at`` is the time at
    which the call ended, by the credential's clock.
    """

    number: int
    credential: str | None
    held_bytes: int
    build: Callable[[int], Entry]
    ended_at: float
    _entry: Entry | None = None

    @property
    def is_built(self) -> bool:
        """Whether ``entry`` is in memory."""
        return self._entry is not None

    @property
    def entry(self) -> Entry:
        """The journal entry."""
        entry = self._entry
        if entry is None:
            entry = self._entry = self.build(self.number)
        return entry

    def drop_entry(self) -> None:
        """Free the memory of ``entry``, which the next access builds again."""
        self._entry = None

    def renumber(self, number: int) -> None:
        """Change the number of the call, also in the entry."""
        self.number = number
        self._entry = None
