from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from emulator.backends.records.sqlite import SqliteRecords
from emulator.world.credentials import (
    REFUSALS,
    CredentialRevoked,
    Credentials,
    CredentialState,
    CredentialUnknown,
)


def use(
    path: Path,
    scenario: Callable[[Credentials], Awaitable[None]],
    listed: dict[str, CredentialState],
    *,
    strict: bool,
) -> None:
    async def run() -> None:
        records = SqliteRecords(path / "records.sqlite3")
        await records.open()
        try:
            await scenario(Credentials(records, listed, strict=strict))
        finally:
            await records.close()

    asyncio.run(run())


def test_without_strict_every_credential_that_is_not_empty_is_valid(tmp_path: Path) -> None:
    async def scenario(credentials: Credentials) -> None:
        await credentials.check("anything")
        with pytest.raises(CredentialUnknown):
            await credentials.check("")

    use(tmp_path, scenario, {}, strict=False)


def test_with_strict_only_listed_credentials_are_valid_in_any_spelling(tmp_path: Path) -> None:
    async def scenario(credentials: Credentials) -> None:
        await credentials.check("key:whatever", "key")
        await credentials.check("other:secret", "other")
        for unknown in (("other:wrong", "other"), ("unknown",)):
            with pytest.raises(CredentialUnknown):
                await credentials.check(*unknown)

    listed = {"key": CredentialState.VALID, "other:secret": CredentialState.VALID}
    use(tmp_path, scenario, listed, strict=True)


@pytest.mark.parametrize("state", CredentialState)
def test_every_state_except_valid_raises_its_own_error(tmp_path: Path, state: CredentialState) -> None:
    async def scenario(credentials: Credentials) -> None:
        if state is CredentialState.VALID:
            await credentials.check("key")
        else:
            with pytest.raises(REFUSALS[state]):
                await credentials.check("key")

    use(tmp_path, scenario, {"key": state}, strict=False)


def test_a_listed_state_overrides_the_settings_until_it_is_removed(tmp_path: Path) -> None:
    async def scenario(credentials: Credentials) -> None:
        for state in (CredentialState.EXPIRED, CredentialState.REVOKED):
            await credentials.put("key", state)
        with pytest.raises(CredentialRevoked):
            await credentials.check("key")
        assert await credentials.list() == {"key": CredentialState.REVOKED}
        assert await credentials.remove("key")
        assert not await credentials.remove("key")
        await credentials.check("key")
        assert await credentials.list() == {"key": CredentialState.VALID}

    use(tmp_path, scenario, {"key": CredentialState.VALID}, strict=True)
