"""Validators for text that the emulator stores or sends."""

from __future__ import annotations

import functools
from typing import Annotated, Any, Final

from pydantic import AfterValidator

SEARCHED_CHARACTERS: Final = 8 * 1024
"""Number of characters of a text in which patterns are searched for. The rest is ignored."""

MOST_STEPS: Final = 2000
"""Largest size of a compiled pattern, in instructions. The time for each character is proportional to it."""

PATTERN_BYTES: Final = 1024 * 1024
"""Largest memory of a compiled pattern and its automaton, in bytes."""


def encodable(text: str) -> str:
    """Return ``text`` if it can be encoded as UTF-8.

    Raises
    ------
    ValueError
        If ``text`` contains half of a surrogate pair, which JSON allows but UTF-8 does not.
    """
    text.encode()
    return text


def printable(text: str) -> str:
    """Return ``text`` with halves of surrogate pairs escaped, so that it can be stored and sent."""
    return text.encode("utf-8", "backslashreplace").decode()


def compilable(pattern: str) -> str:
    """Return ``pattern`` if it is a regular expression of RE2.

    Raises
    ------
    ValueError
        If RE2 does not accept the pattern, or the pattern is too large.
    """
    import re2  # noqa: PLC0415 - only fault rules and filters with patterns need it

    try:
        compiled = _compiled(pattern)
    except re2.error as error:
        detail = error.args[0]
        reason = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
    else:
        if compiled.programsize <= MOST_STEPS:
            return pattern
        reason = "it is too large"
    raise ValueError(
        f"{pattern[:200]!r} is not a valid regular expression: {reason} "
        "(the syntax is RE2, which has no lookarounds and no backreferences)"
    )


def is_found(pattern: str, text: str) -> bool:
    """Return whether the first ``SEARCHED_CHARACTERS`` of ``text`` contain a match of ``pattern``.

    The time is linear in the length of the text for every pattern.
    """
    return _compiled(pattern).search(text[:SEARCHED_CHARACTERS]) is not None


@functools.lru_cache(maxsize=500)
def _compiled(pattern: str) -> Any:
    import re2  # noqa: PLC0415 - see `compilable`

    options = re2.Options()
    options.max_mem = PATTERN_BYTES
    options.log_errors = False
    return re2.compile(pattern, options)


Text = Annotated[str, AfterValidator(encodable)]
"""Text from a tester, in a fault rule or a call of the control API."""

Pattern = Annotated[Text, AfterValidator(compilable)]
"""A regular expression from a tester, in the syntax of RE2, because other engines can take extremely long."""
