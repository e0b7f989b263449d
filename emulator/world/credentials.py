"""The credentials that the emulator accepts, and the reasons to refuse the others.

::

    CredentialRefused
    ├── CredentialUnknown       not listed, or empty
    ├── CredentialRevoked       revoked by the account's owner or by the vendor
    ├── CredentialExpired       expired
    ├── CredentialRestricted    valid, but not for this API
    ├── CredentialOutOfBalance  valid, but the account has no balance
    └── CredentialOfOtherRegion valid only on another host
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from emulator.backends.records import Records
from emulator.backends.stateful import Check, Stateful

KIND = "credential"


class CredentialState(StrEnum):
    """State of a listed credential."""

    VALID = "valid"
    REVOKED = "revoked"
    EXPIRED = "expired"
    RESTRICTED = "restricted"
    NO_BALANCE = "no_balance"
    OTHER_REGION = "other_region"


class CredentialRefused(Exception):
    """The credential is refused."""


class CredentialUnknown(CredentialRefused):
    """The credential is not listed, or it is empty."""


class CredentialRevoked(CredentialRefused):
    """The account's owner or the vendor revoked the credential."""


class CredentialExpired(CredentialRefused):
    """The credential has expired."""


class CredentialRestricted(CredentialRefused):
    """The credential is valid, but not for this API."""


class CredentialOutOfBalance(CredentialRefused):
    """The credential is valid, but its account has no balance."""


class CredentialOfOtherRegion(CredentialRefused):
    """The credential is valid only on another host."""


REFUSALS: Mapping[CredentialState, type[CredentialRefused]] = {
    CredentialState.REVOKED: CredentialRevoked,
    CredentialState.EXPIRED: CredentialExpired,
    CredentialState.RESTRICTED: CredentialRestricted,
    CredentialState.NO_BALANCE: CredentialOutOfBalance,
    CredentialState.OTHER_REGION: CredentialOfOtherRegion,
}


class Credentials(Stateful):
    """The list of known credentials, and the check of a client's credential.

    Parameters
    ----------
    records : Records
        Storage of the credentials that a tester lists at run time.
    listed : mapping of str to CredentialState
        Credentials that are listed from the start.
    strict : bool
        Whether unlisted credentials are refused. If false, they are valid unless they are empty, so that
        tests need no accounts.
    is_reserved : (credential: str) -> bool
        Whether a credential requests a fault. Such credentials are valid in strict mode too.
    """

    def __init__(
        self,
        records: Records,
        listed: Mapping[str, CredentialState],
        *,
        strict: bool,
        is_reserved: Callable[[str], bool] = lambda _credential: False,
    ) -> None:
        self._records = records
        self._is_reserved = is_reserved
        self._listed = dict(listed)
        self._strict = strict

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validator of stored credentials, which must have a known state."""
        return {KIND: lambda document: CredentialState(document["state"])}

    async def check(self, *spellings: str) -> None:
        """Check that a credential is valid; ``spellings`` are the forms in which it may be listed.

        Raises
        ------
        CredentialRefused
            If it is not valid.
        """
        if not all(spellings):
            raise CredentialUnknown
        state = await self._find(spellings)
        if state is None and self._strict and not self._is_reserved(spellings[-1]):
            raise CredentialUnknown
        if state is not None and state is not CredentialState.VALID:
            raise REFUSALS[state]

    async def list(self) -> dict[str, CredentialState]:
        """Return all listed credentials with their states."""
        kept = {
            record.key: CredentialState(record.document["state"]) for record in await self._records.find(KIND)
        }
        return {**self._listed, **kept}

    async def put(self, credential: str, state: CredentialState) -> None:
        """List a credential, or change its state."""
        await self._records.put(KIND, credential, credential, {"state": state})

    async def remove(self, credential: str) -> bool:
        """Remove a credential that ``put`` listed, and return whether it existed."""
        return await self._records.delete(KIND, credential)

    async def _find(self, spellings: tuple[str, ...]) -> CredentialState | None:
        for spelling in spellings:
            record = await self._records.get(KIND, spelling)
            if record is not None:
                return CredentialState(record.document["state"])
            if spelling in self._listed:
                return self._listed[spelling]
        return None
