"""FastAPI dependencies that check the caller's API key and rate limit, and return the caller's settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

from fastapi import Depends, Request

from emulator.backends.stateful import Check, Stateful, require
from emulator.clock import ALL_CREDENTIALS
from emulator.vendors.perfectcorp.errors import SHARED, V1, V2
from emulator.vendors.perfectcorp.settings import VENDOR, PerfectCorpSettings, SettingsDep
from emulator.web.call import Call, CallDep, WorldDep
from emulator.web.headers import header_of
from emulator.world.credentials import CredentialOutOfBalance, CredentialRefused
from emulator.world.error_catalogue import VendorError
from emulator.world.rate_limit import Caller, RateLimit, Window
from emulator.world.world import World

CALLS = RateLimit("perfectcorp/calls", (Window(5, seconds=1), Window(250, seconds=300)))
"""The rate limit of each key and each IP address."""

ACCESS_TOKEN = "perfectcorp/access-token"  # noqa: S105 - a kind of record


class AccessTokens(Stateful):
    """The stored access tokens. The key of a record is the token, and its credential is the API key."""

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validator of stored access tokens. Their documents must be empty."""
        return {
            ACCESS_TOKEN: lambda document: require(
                not document, "the record of an access token must be empty"
            )
        }

    @property
    def secret_keys(self) -> Collection[str]:
        """The keys of the records are the tokens."""
        return (ACCESS_TOKEN,)


def polls_limit(settings: PerfectCorpSettings) -> RateLimit:
    """Return the limit of polls above which a key gets a warning.

    A client can wait by the machine's clock or by the emulator's clock. A key only gets a warning if it polls
    too often by both clocks.
    """
    windows = (Window(settings.polls_per_second, 1), Window(settings.polls_per_second, 1, by_machine=True))
    return RateLimit("perfectcorp/polls", windows, any_window=True)


def authorization_of(request: Request) -> str | None:
    """Return the header ``Authorization`` of a request."""
    header = header_of(request.scope, b"authorization")
    return None if header is None else header.decode("latin-1")


async def key_of(authorization: str | None, world: World) -> str:
    """Return the API key in an ``Authorization`` header, or an empty string if the header has no key.

    The bearer token in the header is the key itself, or an access token that was issued for the key. The key
    is not checked.
    """
    scheme, _, bearer = (authorization or "").partition(" ")
    bearer = bearer.strip() if scheme.lower() == "bearer" else ""
    token = await world.records.get(ACCESS_TOKEN, bearer) if bearer else None
    return bearer if token is None else token.credential


async def authenticate(authorization: str | None, call: Call, world: World) -> str:
    """Check the API key in an ``Authorization`` header, record the key in ``call``, and return the key.

    A key in the state ``no_balance`` is accepted here, because only operations that create tasks refuse it.

    Raises
    ------
    VendorError
        If the key is missing or not valid.
    """
    api_key = await key_of(authorization, world)
    await call.identify(api_key or None)
    call.warn_of_parameters()
    try:
        await world.credentials.check(api_key)
    except CredentialOutOfBalance:
        pass
    except CredentialRefused as error:
        raise V2.for_cause(error).occur() from error
    return api_key


async def check_rate(request: Request, api_key: str, world: World, settings: PerfectCorpSettings) -> None:
    """Raise ``VendorError`` if the key or the client's IP address exceeds the rate limit."""
    if not settings.rate_limit:
        return
    # Use the default clock for addresses, because keys with different clocks can share an address.
    address = Caller(ALL_CREDENTIALS, f"address {request.client.host if request.client else ''}")
    if not await world.rate_limits.allows(CALLS, Caller(api_key), address):
        raise SHARED["TooManyRequests"].occur()


async def _key(request: Request, call: CallDep, world: WorldDep) -> str:
    return await authenticate(authorization_of(request), call, world)


async def _caller(
    request: Request, api_key: Annotated[str, Depends(_key)], world: WorldDep, settings: SettingsDep
) -> str:
    await check_rate(request, api_key, world, settings)
    return api_key


CallerDep = Annotated[str, Depends(_caller)]
"""The checked API key of the caller."""


async def _legacy_caller(request: Request, call: CallDep, world: WorldDep, settings: SettingsDep) -> str:
    try:
        credential = await authenticate(authorization_of(request), call, world)
    except VendorError as error:
        if call.effect is not None and call.effect.error is not None:
            raise
        raise V1["InvalidAccessToken"].occur() from error
    await check_rate(request, credential, world, settings)
    return credential


LegacyCallerDep = Annotated[str, Depends(_legacy_caller)]
"""The checked API key of a call to a v1 path, where an invalid key gets ``InvalidAccessToken``."""


async def _settings_of(api_key: CallerDep, world: WorldDep, settings: SettingsDep) -> PerfectCorpSettings:
    return world.lifetimes.of(VENDOR, api_key, settings)


CallerSettingsDep = Annotated[PerfectCorpSettings, Depends(_settings_of)]
"""The settings of Perfect Corp, with the lifetimes (such as ``url_seconds``) that are set for the caller."""


async def _poller(
    request: Request, api_key: CallerDep, call: CallDep, world: WorldDep, settings: SettingsDep
) -> str:
    if not await world.rate_limits.allows(request.app.state.polls, Caller(api_key)):
        call.warn("polled-too-often", f"more than {settings.polls_per_second} polls within a second")
    return api_key


PollerDep = Annotated[str, Depends(_poller)]
"""The checked API key of a poll. The call gets a warning if the key polls too often."""
