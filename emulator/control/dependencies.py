"""The credential that a control call acts on."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from pydantic import Field

from emulator.clock import EVERYBODY
from emulator.world.text import Text

CredentialText = Annotated[Text, Field(min_length=1)]
"""A credential, as the vendor's clients send it."""


def _credential(
    credential: Annotated[
        CredentialText | None,
        Query(description="Credential to act on; omit it to set the default for all credentials."),
    ] = None,
) -> str:
    return EVERYBODY if credential is None else credential


CredentialDep = Annotated[str, Depends(_credential)]
"""The credential that a call sets something for, or EVERYBODY."""


def _filter(
    credential: Annotated[
        CredentialText | None, Query(description="Only this credential's; omit it for all.")
    ] = None,
) -> str | None:
    return credential


FilterDep = Annotated[str | None, Depends(_filter)]
"""The credential that a call is limited to, or None for all."""
