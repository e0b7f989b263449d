"""FastAPI dependencies that authenticate the caller, check its rate limit and return its settings."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from emulator.clock import ALL_CREDENTIALS, machine_time
from emulator.vendors.perfectcorp.errors import SHARED, V1
from emulator.vendors.perfectcorp.settings import VENDOR, PerfectCorpSettings, SettingsDep
from emulator.web.call import Call, CallDep, WorldDep
from emulator.world.credentials import CredentialOutOfBalance, CredentialRefused
from emulator.world.error_catalogue import VendorError
from emulator.world.rate_limit import SlidingWindow
from emulator.world.world import World

ACCESS_TOKEN = "perfectcorp/access-token"  # noqa: S105 - a kind of record


async def key_of(authorization: str | None, world: World) -> str:
    """Return the API key of an ``Authorization`` header without checking it, or "" if there is none.

    The bearer token is the key itself, or an access token that was issued to a legacy client.
    """
    scheme, _, bearer = (authorization or "").partition(" ")
    bearer = bearer.strip() if scheme.lower() == "bearer" else ""
    token = await world.records.get(ACCESS_TOKEN, bearer) if bearer else None
    return bearer if token is None else token.credential


async def authenticate(authorization: str | None, call: Call, world: World) -> str:
    """Check the API key of an ``Authorization`` header, record it in ``call``, and return it.

    A key without balance passes, because only operations that cost units refuse it.

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
        raise SHARED.for_cause(error).occur() from error
    return api_key


def rate_windows() -> tuple[SlidingWindow, ...]:
    """Return the sliding windows that count the calls per key and per IP address."""
    return tuple(SlidingWindow(limit, seconds, _key_caller) for limit, seconds in ((5, 1), (250, 300)))


def _key_caller(api_key: str) -> str:
    return f"key {api_key}"


def check_rate(request: Request, api_key: str, world: World, settings: PerfectCorpSettings) -> None:
    """Raise ``VendorError`` if the key or the client's IP address exceeds the rate limit."""
    if not settings.rate_limit:
        return
    moments = {
        _key_caller(api_key): world.clock.now(api_key),
        # Many keys can share an address, so its calls are counted by the default clock.
        f"address {request.client.host if request.client else ''}": world.clock.now(ALL_CREDENTIALS),
    }
    calls = [(window, caller, now) for window in request.app.state.windows for caller, now in moments.items()]
    # Check all windows before counting, because a refused call must not count in any of them.
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
"""The caller's API key, after authentication and the rate limit."""


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
"""The API key of a call to a v1 path. An invalid key has an error of its own on these paths."""


def _settings_of(api_key: CallerDep, world: WorldDep, settings: SettingsDep) -> PerfectCorpSettings:
    return world.lifetimes.of(VENDOR, api_key, settings)


CallerSettingsDep = Annotated[PerfectCorpSettings, Depends(_settings_of)]
"""The settings of Perfect Corp, with the lifetimes that apply to the caller."""


def _poller(
    request: Request, api_key: CallerDep, call: CallDep, world: WorldDep, settings: SettingsDep
) -> str:
    # Warn only if there are too many polls by both clocks, because a client may wait by either clock.
    moments = (world.clock.now(api_key), machine_time())
    polls: tuple[SlidingWindow, ...] = request.app.state.polls
    allowed = [window.allows(api_key, now) for window, now in zip(polls, moments, strict=True)]
    if not any(allowed):
        call.warn("polled-too-often", f"more than {settings.polls_per_second} polls within a second")
    return api_key


PollerDep = Annotated[str, Depends(_poller)]
"""The caller's API key, for polls. If a poll is too frequent, its call gets a warning."""
