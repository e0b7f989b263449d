"""Work that may run in another thread. The face core starts no threads; its caller decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

R = TypeVar("R")


class Later(Protocol):
    """Returns a function that returns the result of ``function``, or raises its exception.

    ``function`` may run in another thread, before its result is needed. The functions given to one `Later`
    never run at the same time as each other. The returned function is called at most once.
    """

    def __call__(self, function: Callable[[], R], /) -> Callable[[], R]:
        """Take a function, and return one that has its result."""


def when_needed(function: Callable[[], R]) -> Callable[[], R]:
    """Return ``function``, so that it runs in the calling thread, when its result is needed."""
    return function


def never() -> bool:
    """Return False: there is no second thread."""
    return False
