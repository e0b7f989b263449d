"""The HTTP connection of the client, and its errors."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Any, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import urllib3
from cattrs.errors import BaseValidationError
from cattrs.preconf.json import make_converter

Answer = TypeVar("Answer")

Body = bytes | IO[bytes]

JSON = "application/json"

TOKEN_VARIABLE = "FACE_EMULATOR_CONTROL_TOKEN"  # noqa: S105 - the name of a variable
"""Environment variable with the token of the control API. The server reads the same variable."""

_CONVERTER = make_converter(detailed_validation=False)


class ControlError(Exception):
    """The control API refused a request.

    Attributes
    ----------
    status : int
        HTTP status of the response.
    detail : str
        Reason, with the remedy.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.detail} (HTTP {self.status})"


class EmulatorUnreachable(ConnectionError):
    """No emulator answers at this URL.

    Attributes
    ----------
    url : str
        Base URL of the client.
    reason : str
        What went wrong.
    """

    def __init__(self, url: str, reason: str) -> None:
        parts = urlsplit(url)
        # A URL can contain a password.
        self.url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        super().__init__(self.url, reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"no emulator answers at {self.url} ({self.reason}); run `face-emulator serve` or check the URL"
        )


class Connection:
    """The HTTP connections to an emulator, and the credential for the requests; see ``Client``."""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:3468",
        credential: str | None = None,
        token: str | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.credential = credential
        token = os.environ.get(TOKEN_VARIABLE) if token is None else token
        self._headers = {} if not token else {"Authorization": f"Bearer {token}"}
        # ``PoolManager`` ignores the proxy variables of the environment. With ``retries=False``, errors are
        # raised immediately. Each thread needs a connection, and the pool warns if there are more than
        # ``maxsize``.
        self._http = urllib3.PoolManager(timeout=60, retries=False, maxsize=256)

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
        self._http.clear()

    def _mine(self) -> dict[str, str]:
        """Return the query parameter that selects the client's credential, if it has one."""
        return {} if self.credential is None else {"credential": self.credential}

    def _read(self, kind: type[Answer], method: str, path: str, **options: Any) -> Answer:
        """Send a request, and return the JSON of its response as an object of type ``kind``."""
        return self._parsed(kind, self._call(method, path, **options))

    def _parsed(self, kind: type[Answer], document: Any) -> Answer:
        """Convert JSON to an object of type ``kind``. Members that ``kind`` does not have are ignored."""
        try:
            return _CONVERTER.structure(document, kind)
        except (BaseValidationError, AttributeError, KeyError, TypeError, ValueError) as error:
            # cattrs raises AttributeError if JSON has a list in place of an object.
            raise EmulatorUnreachable(self.base_url, f"another server or version: {error!r}") from error

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        scoped: bool = False,
    ) -> Any:
        """Send a request, and return the JSON of its response, if any. ``scoped`` adds the credential."""
        content = None if body is None else json.dumps(body).encode()
        with self._sent(method, path, self._mine() if scoped else params, content) as answer:
            return self._document(answer)

    def _document(self, answer: urllib3.BaseHTTPResponse) -> Any:
        """Return the JSON of a response; None if its body is empty."""
        read = answer.read()
        try:
            return json.loads(read) if read else None
        except ValueError as error:
            raise EmulatorUnreachable(self.base_url, "another server answered, without JSON") from error

    @contextmanager
    def _sent(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        body: Body | None = None,
        *,
        content_type: str = JSON,
        timeout: float | None = 60,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Send a request, and yield its response before the body is read.

        Raises
        ------
        ControlError
            If the response is an error.
        EmulatorUnreachable
            If there is no response, or the response ends early.
        """
        if not self.base_url.startswith(("http://", "https://")):
            raise EmulatorUnreachable(self.base_url, "it does not begin with http:// or https://")
        query = f"?{urlencode(_texts(params), doseq=True)}" if params else ""
        try:
            answer = self._http.request(
                method,
                f"{self.base_url}/_emulator{path}{query}",
                body=body,
                headers=self._headers | ({} if body is None else {"Content-Type": content_type}),
                timeout=timeout,
                redirect=False,
                preload_content=False,
            )
            try:
                if answer.status >= 300:
                    raise ControlError(answer.status, _detail(answer, self.base_url))
                yield answer
            finally:
                answer.close()  # also closes the connection, unless the whole body was read
        except urllib3.exceptions.HTTPError as error:
            raise EmulatorUnreachable(self.base_url, _reason(error)) from error


def segment(text: str) -> str:
    """Return a text as one segment of a path. The text can contain slashes or be `.` or `..`."""
    quoted = quote(text, safe="")
    return quoted.replace(".", "%2E") if quoted in {".", ".."} else quoted


def _texts(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are not None, with booleans in the form that the control API reads."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in params.items()
        if value is not None
    }


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    match error:
        case urllib3.exceptions.NameResolutionError() | urllib3.exceptions.NewConnectionError():
            return str(error.__cause__ or error)
        case urllib3.exceptions.TimeoutError():
            return "timeout"
    return str(error)


def _detail(answer: urllib3.BaseHTTPResponse, url: str) -> str:
    """Return the reason in an error response."""
    text = answer.read().decode(errors="replace")
    try:
        document = json.loads(text)
    except ValueError:
        return text
    if not isinstance(document, dict):
        return text
    if "error" not in document:
        return f"the response from {url} is not from a control API; check the URL"
    return str(document["error"])
