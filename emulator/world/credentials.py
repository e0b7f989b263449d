"""The credentials that have a state, such as expired, and the check of a client's credential.

::

    CredentialRefused
    ├── CredentialUnknown       empty, or without a state in strict mode
    ├── CredentialRevoked       revoked by the account's owner or by the vendor
    ├── CredentialExpired       expired
    ├── CredentialRestricted    valid, but not for this API
    ├── CredentialOutOfBalance  valid, but the account has no balance
    └── CredentialOfOtherRegion valid only on another host
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Any

from emulator.backends.records import Records
from emulator.backends.stateful import Check, EntryCheck, Stateful, belongs_to_its_key, require

KIND = "credential"


class CredentialState(StrEnum):
    """State of a credential: valid, or the reason why it is refused."""

    VALID = "valid"
    REVOKED = "revoked"
    EXPIRED = "expired"
    RESTRICTED = "restricted"
    NO_BALANCE = "no_balance"
    OTHER_REGION = "other_region"


class CredentialRefused(Exception):
    """The credential is refused."""


class CredentialUnknown(CredentialRefused):
    """The credential is empty, or it has no state although strict mode requires one."""


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
    """The states of credentials, and the check of a client's credential.

    Parameters
    ----------
    records : Records
        Storage of the states that a tester sets at run time.
    listed : mapping of str to CredentialState
        States from the settings, by credential.
    strict : bool
        Whether credentials without a state are refused. If false, they are valid, so that tests need no
        accounts. Empty credentials are always refused.
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
        """The validator of stored credentials. Their state must be a ``CredentialState``."""
        return {KIND: _check}

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """The key of a stored credential must be the credential itself."""
        return {KIND: belongs_to_its_key}

    @property
    def secret_keys(self) -> Collection[str]:
        """The keys of states are credentials."""
        return (KIND,)

    async def check(self, *spellings: str) -> None:
        """Check that a credential is valid.

        ``spellings`` are the forms of the credential that can have a state, such as ``key:secret`` and
        ``key``. The first form that has a state decides.

        Raises
        ------
        CredentialRefused
            If the credential is not valid.
        """
        if not all(spellings):
            raise CredentialUnknown
        state = await self._find(spellings)
        if state is None and self._strict and not self._is_reserved(spellings[-1]):
            raise CredentialUnknown
        if state is not None and state is not CredentialState.VALID:
            raise REFUSALS[state]

    async def list(self) -> dict[str, CredentialState]:
        """Return all states, by credential."""
        kept = {
            record.key: CredentialState(record.document["state"]) for record in await self._records.find(KIND)
        }
        return {**self._listed, **kept}

    async def put(self, credential: str, state: CredentialState) -> None:
        """Set the state of a credential."""
        await self._records.put(KIND, credential, credential, {"state": state})

    async def remove(self, credential: str) -> bool:
        """Remove the state that ``put`` set, and return whether there was one."""
        return await self._records.delete(KIND, credential)

    async def _find(self, spellings: tuple[str, ...]) -> CredentialState | None:
        for spelling in spellings:
            record = await self._records.get(KIND, spelling)
            if record is not None:
                return CredentialState(record.document["state"])
            if spelling in self._listed:
                return self._listed[spelling]
        return None


def _check(document: Mapping[str, Any]) -> None:
    require(document.keys() == {"state"}, "a credential has only a state")
    CredentialState(document["state"])
