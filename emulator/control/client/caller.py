"""The HTTP connection of the control API's client, and the client's errors."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import TypeAdapter

Answer = TypeVar("Answer")


class ControlError(Exception):
    """The control API refused a call."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.detail} (HTTP {self.status})"


class Caller:
    """Base class of ``Client`` with the HTTP connection. The parameters are those of ``Client``."""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:3468",
        credential: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.credential = credential
        self._http = httpx.Client(
            base_url=f"{base_url.rstrip('/')}/_emulator", timeout=60, transport=transport, trust_env=False
        )

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _mine(self) -> dict[str, str]:
        return {} if self.credential is None else {"credential": self.credential}

    def _read(self, kind: type[Answer], method: str, path: str, **options: Any) -> Answer:
        """Make a call, and return the JSON of its response as an object of type ``kind``."""
        return TypeAdapter(kind).validate_python(self._call(method, path, **options))

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        scoped: bool = False,
    ) -> Any:
        """Make a call, and return the JSON of its response, or None if the response has no body.

        With ``scoped``, the client's credential is sent as a query parameter, instead of ``params``.
        """
        params = self._mine() if scoped else params
        answer = self._http.request(method, path, json=body, params=params)
        refuse_errors(answer)
        return answer.json() if answer.content else None


def refuse_errors(answer: httpx.Response) -> None:
    """Raise ``ControlError`` if a response is an error."""
    if answer.is_error:
        answer.read()
        raise ControlError(answer.status_code, _detail(answer))


def _detail(answer: httpx.Response) -> str:
    try:
        document = answer.json()
    except ValueError:
        return answer.text
    if not isinstance(document, dict):
        return answer.text
    reason = document.get("error")
    return (
        f"the server at {answer.url} does not answer like an emulator; check the URL"
        if reason is None
        else str(reason)
    )
