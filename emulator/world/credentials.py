"""Which credentials are good, and what is wrong with the others.

::

    CredentialRefused
    ├── CredentialUnknown      nobody listed it, or it is empty
    ├── CredentialRevoked      its owner or the vendor took it back
    ├── CredentialExpired      its time is over
    ├── CredentialRestricted   it is good, but not for this API
    ├── CredentialOutOfBalance there is nothing left on its account
    └── CredentialOfOtherRegion it is good, on another host
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from emulator.backends.records import Records
from emulator.backends.stateful import Check, Stateful

KIND = "credential"


class CredentialState(StrEnum):
    """What a listed credential is."""

    VALID = "valid"
    REVOKED = "revoked"
    EXPIRED = "expired"
    RESTRICTED = "restricted"
    NO_BALANCE = "no_balance"
    OTHER_REGION = "other_region"


class CredentialRefused(Exception):
    """The credential is not good."""


class CredentialUnknown(CredentialRefused):
    """Nobody listed it, or it is empty."""


class CredentialRevoked(CredentialRefused):
    """Its owner or the vendor took it back."""


class CredentialExpired(CredentialRefused):
    """Its time is over."""


class CredentialRestricted(CredentialRefused):
    """It is good, but not for this API."""


class CredentialOutOfBalance(CredentialRefused):
    """There is nothing left on its account."""


class CredentialOfOtherRegion(CredentialRefused):
    """It is good, on another host."""


REFUSALS: Mapping[CredentialState, type[CredentialRefused]] = {
    CredentialState.REVOKED: CredentialRevoked,
    CredentialState.EXPIRED: CredentialExpired,
    CredentialState.RESTRICTED: CredentialRestricted,
    CredentialState.NO_BALANCE: CredentialOutOfBalance,
    CredentialState.OTHER_REGION: CredentialOfOtherRegion,
}


class Credentials(Stateful):
    """The credentials that the emulator knows.

    Parameters
    ----------
    records : Records
        Where those are kept that are listed while it runs.
    listed : mapping of str to CredentialState
        Those that are listed from the start.
    strict : bool
        Whether only listed ones are good. If not, every credential that is not empty is: a test
        needs no account, and can still list one as revoked.
    is_reserved : (credential: str) -> bool
        Which ones are good all the same: those that ask for a fault.
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
        """A listed credential has to have a state."""
        return {KIND: lambda document: CredentialState(document["state"])}

    async def check(self, *spellings: str) -> None:
        """Return if a credential is good; ``spellings`` are the ways in which it may be listed.

        Raises
        ------
        CredentialRefused
            If it is not.
        """
        if not all(spellings):
            raise CredentialUnknown
        state = await self._find(spellings)
        if state is None and self._strict and not self._is_reserved(spellings[-1]):
            raise CredentialUnknown
        if state is not None and state is not CredentialState.VALID:
            raise REFUSALS[state]

    async def list(self) -> dict[str, CredentialState]:
        """Return all that are listed, with what they are."""
        kept = {
            record.key: CredentialState(record.document["state"]) for record in await self._records.find(KIND)
        }
        return {**self._listed, **kept}

    async def put(self, credential: str, state: CredentialState) -> None:
        """List a credential, or change what it is."""
        await self._records.put(KIND, credential, credential, {"state": state})

    async def remove(self, credential: str) -> bool:
        """Take back what was listed while it runs, and return whether there was anything."""
        return await self._records.delete(KIND, credential)

    async def _find(self, spellings: tuple[str, ...]) -> CredentialState | None:
        for spelling in spellings:
            record = await self._records.get(KIND, spelling)
            if record is not None:
                return CredentialState(record.document["state"])
            if spelling in self._listed:
                return self._listed[spelling]
        return None
