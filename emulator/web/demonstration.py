"""Helpers for a vendor's ``demo.py``, which shows what the vendor's APIs return for a photograph."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

Step = Callable[[str], AbstractContextManager[Callable[[str], None]]]
"""Returns a context manager that shows and times a step, and yields a function that shows a result."""

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
