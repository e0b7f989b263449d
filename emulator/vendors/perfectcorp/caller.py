"""FastAPI dependencies that check the caller's API key and rate limit, and return the caller's settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

from fastapi import Depends, Request

from emulator.backends.stateful import Check, Stateful, require
from emulator.clock import ALL_CREDENTIALS, machine_time
from emulator.vendors.perfectcorp.errors import SHARED, V1, V2
from emulator.vendors.perfectcorp.settings import VENDOR, PerfectCorpSettings, SettingsDep
from emulator.web.call import Call, CallDep, WorldDep
from emulator.world.credentials import CredentialOutOfBalance, CredentialRefused
from emulator.world.error_catalogue import VendorError
from emulator.world.rate_limit import SlidingWindow
from emulator.world.world import World

ACCESS_TOKEN = "perfectcorp/access-token"  # noqa: S105 - a kind of record


class AccessTokens(Stateful):
    """The stored access tokens. The key of a record is the token, and its credential the API key."""

    @property
    def checks(self) -> Mapping[str, Check]:
        """The function that checks a stored record, which is empty."""
        return {ACCESS_TOKEN: lambda document: require(not document, "the record of a token is empty")}

    @property
    def secret_keys(self) -> Collection[str]:
        """The keys of the records are the tokens."""
        return (ACCESS_TOKEN,)


async def key_of(authorization: str | None, world: World) -> str:
    """Return the API key in an ``Authorization`` header, or an empty text if the header has no key.

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


def rate_windows() -> tuple[SlidingWindow, ...]:
    """Return counters of calls for the rate limits: 5 per second, and 250 per 300 seconds."""
    return tuple(SlidingWindow(limit, seconds, _key_caller) for limit, seconds in ((5, 1), (250, 300)))


def _key_caller(api_key: str) -> str:
    return f"key {api_key}"


def check_rate(request: Request, api_key: str, world: World, settings: PerfectCorpSettings) -> None:
    """Raise ``VendorError`` if the key or the client's IP address exceeds the rate limit."""
    if not settings.rate_limit:
        return
    moments = {
        _key_caller(api_key): world.clock.now(api_key),
        # Use the default clock for addresses, because keys with different clocks can share an address.
        f"address {request.client.host if request.client else ''}": world.clock.now(ALL_CREDENTIALS),
    }
    calls = [(window, caller, now) for window in request.app.state.windows for caller, now in moments.items()]
    # Check all counters before counting, because a refused call must not count in any of them.
    if not all(window.has_room(caller, now) for window, caller, now in calls):
        raise SHARED["TooManyRequests"].occur()
    for window, caller, now in calls:
        window.count(caller, now)


async def _key(request: Request, call: CallDep, world: WorldDep) -> str:
    return await authenticate(request.headers.get("authorization"), call, world)


async def _caller(
    request: Request, api_key: Annotated[str, Depends(_key)], world: WorldDep, settings: SettingsDep
) -> str:
    check_rate(request, api_key, world, settings)
    return api_key


CallerDep = Annotated[str, Depends(_caller)]
"""The checked API key of the caller."""


async def _legacy_caller(request: Request, call: CallDep, world: WorldDep, settings: SettingsDep) -> str:
    try:
        credential = await authenticate(request.headers.get("authorization"), call, world)
    except VendorError as error:
        if call.effect is not None and call.effect.error is not None:
            raise
        raise V1["InvalidAccessToken"].occur() from error
    check_rate(request, credential, world, settings)
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
    # A client can wait by the machine's clock or by the emulator's. Warn only if both show too many polls.
    moments = (world.clock.now(api_key), machine_time())
    polls: tuple[SlidingWindow, ...] = request.app.state.polls
    allowed = [window.allows(api_key, now) for window, now in zip(polls, moments, strict=True)]
    if not any(allowed):
        call.warn("polled-too-often", f"more than {settings.polls_per_second} polls within a second")
    return api_key


PollerDep = Annotated[str, Depends(_poller)]
"""The checked API key of a poll. The call gets a warning if the key polls too often."""
