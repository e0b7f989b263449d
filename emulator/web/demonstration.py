"""What a vendor's ``demo.py`` stands on: it shows on a photo what the vendor's APIs give back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

Step = Callable[[str], AbstractContextManager[Callable[[str], None]]]
"""Shows and times one step; the block says through the callable what it made."""

POLL_SECONDS = 0.1
TIMEOUT_SECONDS = 60


class DemoFailed(Exception):
    """A vendor answered with an error, or the photo cannot be read."""


def checked(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON of an answer.

    Raises
    ------
    DemoFailed
        If the answer is an error.
    """
    if not response.is_success:
        raise DemoFailed(f"{response.request.url.path}: HTTP {response.status_code}: {response.text}")
    document: dict[str, Any] = response.json()
    return document
