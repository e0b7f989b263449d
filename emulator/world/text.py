"""Validators for text that the emulator stores or sends."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator


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
    """Return ``pattern`` if it is a valid regular expression.

    Raises
    ------
    ValueError
        If ``pattern`` is invalid, nested too deeply, or has a repeat count that is too high.
    """
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{pattern[:200]!r} is not a valid regular expression: {error}") from error
    return pattern


Text = Annotated[str, AfterValidator(encodable)]
"""Text from a tester, in a fault rule or a call of the control API."""

Pattern = Annotated[Text, AfterValidator(compilable)]
"""A regular expression from a tester."""
