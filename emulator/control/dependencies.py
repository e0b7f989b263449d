"""Query parameters that select the credential for a call of the control API."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from pydantic import Field

from emulator.clock import ALL_CREDENTIALS
from emulator.world.text import Text

CredentialText = Annotated[Text, Field(min_length=1)]
"""A credential, exactly as clients send it to the vendor."""


def _credential(
    credential: Annotated[
        CredentialText | None,
        Query(
            description="Credential to which the call applies. Omit it for the default, which all "
            "credentials without their own value use."
        ),
    ] = None,
) -> str:
    return ALL_CREDENTIALS if credential is None else credential


CredentialDep = Annotated[str, Depends(_credential)]
"""The credential to act on, or ALL_CREDENTIALS for the default."""


def _filter(
    credential: Annotated[
        CredentialText | None,
        Query(description="Credential to which the request is limited. Omit it for all credentials."),
    ] = None,
) -> str | None:
    return credential


FilterDep = Annotated[str | None, Depends(_filter)]
"""The credential to select by, or None to select everything."""
