"""Helpers for a vendor's ``demo.py``, which calls the vendor's emulated APIs with a photograph."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

Step = Callable[[str], AbstractContextManager[Callable[[str], None]]]
"""A function that takes the text of a step, and returns a context manager that displays and times the step.

The context manager yields a function. Call this function with the text of a result to display the result.
"""

POLL_SECONDS = 0.1
TIMEOUT_SECONDS = 60


class DemoFailed(Exception):
    """A vendor answered with an error, or the photograph cannot be read."""


def checked(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON of a response.

    Raises
    ------
    DemoFailed
        If the response is an error.
    """
    if not response.is_success:
        raise DemoFailed(f"{response.request.url.path}: HTTP {response.status_code}: {response.text}")
    document: dict[str, Any] = response.json()
    return document
