"""Sends the requests of a sample to a service. Later requests can contain values of earlier responses."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

import httpx

from emulator.drift.comparison import IGNORED_HEADERS
from emulator.drift.files import describe_file
from emulator.drift.samples import NotAnswered, Request, Sample, Step, filled, filled_path, look_up, picture

POLL_TIMEOUT_SECONDS: Final = 120.0
"""Longest time to poll a task, in seconds. After that, the last response is used."""


class NoResponse(Exception):
    """The service cannot be reached, or did not answer in time.

    Attributes
    ----------
    name : str
        Name of the service.
    request : Request
        The request as in the sample, with placeholders.
    """

    def __init__(self, name: str, request: Request, cause: Exception) -> None:
        super().__init__(name, request, cause)
        self.name = name
        self.request = request
        self.cause = cause

    def __str__(self) -> str:
        # Use the path from the sample, because filled placeholders may contain signatures.
        reason = f"{type(self.cause).__name__}: {self.cause}"
        return f"{self.name} did not answer {self.request.method} {self.request.path}: {reason}"


@dataclass
class Pace:
    """A rate limit for the calls to a service.

    Attributes
    ----------
    seconds : float
        Shortest time between the starts of two calls, in seconds.
    """

    seconds: float
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _next: float = field(default=float("-inf"), init=False)

    def wait(self) -> None:
        """Wait until the next call is allowed to start."""
        early = self._next - self.now()
        if early > 0:
            self.sleep(early)
        self._next = self.now() + self.seconds


@dataclass(frozen=True)
class Side:
    """One of the two services to compare, and how to call it.

    Attributes
    ----------
    name : str
        Name of the service in messages.
    client : httpx.Client
        Client with the base URL and the timeout.
    pace : Pace
        Rate limit of the calls.
    credential : mapping of str to str, optional
        Values for the placeholders of the credential. They replace the values in each sample.
    """

    name: str
    client: httpx.Client
    pace: Pace
    credential: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Played:
    """The responses of a service to the requests of a sample.

    Attributes
    ----------
    answers : tuple of mapping
        The response to each request that was sent, with ``status``, ``type``, ``headers`` and ``body``.
    stopped : str, optional
        Why the remaining requests could not be sent; None if all were sent.
    calls : int
        Number of requests that were sent, including polls.
    """

    answers: tuple[Mapping[str, Any], ...]
    stopped: str | None
    calls: int


def play(sample: Sample, side: Side) -> Played:
    """Send the requests of a sample to a service, and return the responses.

    Raises
    ------
    NoResponse
        If the service cannot be reached or does not answer. Requests are not retried.
    """
    names: dict[str, Any] = dict(sample.credential if side.credential is None else side.credential)
    answers: list[Mapping[str, Any]] = []
    calls = 0
    for step in sample.steps:
        answer, sent = _last_answer(step, names, side)
        calls += sent
        answers.append(answer)
        try:
            names |= {name: look_up(answer, place) for name, place in step.keep.items()}
        except NotAnswered as error:
            return Played(tuple(answers), str(error), calls)
    return Played(tuple(answers), None, calls)


def _last_answer(step: Step, names: Mapping[str, Any], side: Side) -> tuple[Mapping[str, Any], int]:
    """Send the request of a step, and repeat it while the step's condition ``waits`` holds.

    Return the last response and the number of calls.
    """
    deadline = time.monotonic() + POLL_TIMEOUT_SECONDS
    calls = 0
    while True:
        side.pace.wait()
        answer = _send(step.request, names, side)
        calls += 1
        if not step.waits or not _says(answer, step.waits) or time.monotonic() > deadline:
            return answer, calls
        # The emulator has no rate limit. Without this pause, the loop would keep the emulator busy.
        time.sleep(0.02)


def _says(answer: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    try:
        return all(look_up(answer, place) == value for place, value in expected.items())
    except NotAnswered:
        return False


def _send(request: Request, names: Mapping[str, Any], side: Side) -> Mapping[str, Any]:
    headers = filled(request.headers, names)
    files = [(name, (PurePosixPath(file).name, picture(file))) for name, file in request.files]
    try:
        response = side.client.request(
            request.method,
            filled_path(request.path, names),
            # A value from an earlier response may be a number.
            headers={name: str(value) for name, value in headers.items()} if headers else None,
            data=filled(request.form, names),
            json=filled(request.body, names),
            files=files or None,
            content=None if request.content is None else picture(request.content),
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoResponse(side.name, request, error) from error
    return {
        "status": response.status_code,
        "type": _media_type(response.headers.get("content-type")),
        "headers": sorted(set(response.headers) - IGNORED_HEADERS - {"content-type"}),
        "body": _body(response.headers.get("content-type"), response.content),
    }


def _media_type(header: str | None) -> str | None:
    """Return a media type without its parameters."""
    return None if header is None else header.partition(";")[0].strip().lower()


def _body(header: str | None, data: bytes) -> Any:
    """Return a body as JSON, as text, or as the bytes of a file."""
    media_type = _media_type(header) or ""
    if media_type.partition("/")[0] in {"image", "audio", "video", "model"}:
        return data
    if media_type == "application/json" or media_type.endswith("+json"):
        try:
            return json.loads(data)
        except ValueError:
            pass
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data
    return data if describe_file(data)["$file"] != "unknown" else text
