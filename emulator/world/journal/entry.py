"""One call, as the journal shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field


class RecordedCall(BaseModel):
    """A call, its secrets masked and its pictures given by digest."""

    number: int = Field(description="Counts all calls, from 1.")
    vendor: str
    operation: str | None = Field(description="None for an unknown path, or a method that it does not have.")
    credential: str | None = Field(description="Masked.")
    method: str
    path: str
    url: str = Field(description="Scheme and host, as the client named them.")
    query: list[tuple[str, str]]
    request_headers: list[tuple[str, str]]
    sent: dict[str, Any] | None = Field(
        description="By `kind`: `json`, `fields` of a `form` or `multipart`, `text`; or `bytes` and `sha256`."
    )
    status: int | None = Field(description="None if the connection was dropped before an answer.")
    is_complete: bool = Field(description="Whether all of the answer went out.")
    response_headers: list[tuple[str, str]]
    answer: dict[str, Any] | None
    started_at: float = Field(description="By the credential's clock, seconds since the epoch.")
    real_started_at: float = Field(description="By the machine's clock.")
    duration_ms: float
    fault: dict[str, Any] | None = Field(description="What went wrong on purpose: `source` and `effect`.")
    warnings: list[dict[str, str]] = Field(description="What the client did wrong: `code` and `detail`.")


class Entry(RecordedCall):
    """A call as the journal keeps it: with the exact credential, which is never shown."""

    exact_credential: str | None = Field(exclude=True)

    def to_document(self) -> dict[str, Any]:
        """Return the entry as a JSON object for the records."""
        return {**self.model_dump(mode="json"), "exact_credential": self.exact_credential}


@dataclass(eq=False)
class Noted:
    """A call as it was taken down; ``entry`` is made when somebody looks."""

    number: int
    credential: str | None
    held_bytes: int
    _make: Callable[[int], Entry] | None
    _entry: Entry | None = None

    @property
    def entry(self) -> Entry:
        """What is shown of it."""
        if self._entry is None:
            if self._make is None:
                raise RuntimeError("a call without a beginning")
            self._entry, self._make = self._make(self.number), None
        return self._entry

    def renumber(self, number: int) -> None:
        """Count it as another one than it was taken for."""
        self.number = number
        if self._entry is not None:
            self._entry = self._entry.model_copy(update={"number": number})
