"""Which credentials are good."""

from __future__ import annotations

from collections.abc import Iterable


class Credentials:
    """The credentials that the emulator accepts.

    Parameters
    ----------
    accepted : iterable of str
        The good ones. If there are none, every credential that is not empty is good: a test needs
        no account.
    """

    def __init__(self, accepted: Iterable[str] = ()) -> None:
        self._accepted = frozenset(accepted)

    def accept(self, *spellings: str) -> bool:
        """Return whether a credential is good; ``spellings`` are the ways in which it may be listed."""
        if not self._accepted:
            return all(spellings)
        return any(spelling in self._accepted for spelling in spellings)
