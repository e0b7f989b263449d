"""Replacements of attributes of modules and classes. A replacement can be undone."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

Make = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Takes the original function, and returns the function that replaces it."""

Replacement = tuple[Any, str, Make]
"""A module or class, the name of its attribute, and the function that makes the replacement."""

_MISSING = object()


class Patch:
    """A replaced attribute. ``undo`` does nothing if other code has replaced the attribute since."""

    def __init__(self, owner: Any, name: str, make: Make) -> None:
        self._owner, self._name = owner, name
        self._before = vars(owner).get(name, _MISSING)
        original = getattr(owner, name)
        self._after = functools.wraps(original)(make(original))
        setattr(owner, name, self._after)

    def undo(self) -> None:
        """Restore the attribute."""
        if vars(self._owner).get(self._name) is not self._after:
            return
        if self._before is _MISSING:
            delattr(self._owner, self._name)
        else:
            setattr(self._owner, self._name, self._before)
