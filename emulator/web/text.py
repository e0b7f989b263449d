"""Text that can be stored and sent."""

from __future__ import annotations

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


Text = Annotated[str, AfterValidator(encodable)]
"""What a tester may write in a rule or a call of the control API."""
