"""Whose state a control call is about."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from pydantic import Field

from emulator.clock import EVERYBODY
from emulator.web.text import Text

CredentialText = Annotated[Text, Field(min_length=1)]
"""A credential, as the vendor's clients send it."""


def _scope(
    credential: Annotated[
        CredentialText | None,
        Query(description="Whose; everybody's who has none of their own, if left out."),
    ] = None,
) -> str:
    return EVERYBODY if credential is None else credential


ScopeDep = Annotated[str, Depends(_scope)]
"""The scope of a call that sets something: a credential's, or everybody's."""


def _filter(
    credential: Annotated[
        CredentialText | None, Query(description="Only this one's; all, if left out.")
    ] = None,
) -> str | None:
    return credential


FilterDep = Annotated[str | None, Depends(_filter)]
"""The credential that a listing is about, or None for all."""
