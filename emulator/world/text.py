"""Text that can be stored and sent."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator


def encodable(text: str) -> str:
    """Return ``text``, unless it has half a surrogate pair, which JSON can say and no encoding can.

    Raises
    ------
    ValueError
        If it has.
    """
    text.encode()
    return text


def printable(text: str) -> str:
    """Return ``text`` with halves of surrogate pairs spelled out, so that it can be stored and sent."""
    return text.encode("utf-8", "backslashreplace").decode()


def compilable(pattern: str) -> str:
    """Return ``pattern``, unless it is no regular expression.

    Raises
    ------
    ValueError
        If it is none, or one that is too deep or repeats too often.
    """
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{pattern[:200]!r} is no regular expression: {error}") from error
    return pattern


Text = Annotated[str, AfterValidator(encodable)]
"""What a tester may write in a rule or a call of the control API."""

Pattern = Annotated[Text, AfterValidator(compilable)]
"""A regular expression of a tester's."""
