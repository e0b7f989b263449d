"""Where webhooks go: the endpoints of all vendors, and what a vendor knows of its webhooks."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from emulator.backends.records import Records
from emulator.backends.records.kept import Kept
from emulator.backends.stateful import Check, Stateful
from emulator.clock import EVERYBODY
from emulator.ids import SeededIds, hash_text
from emulator.webhooks.delivery import Endpoint, Message, Policy, Timestamps
from emulator.webhooks.fault import Signature

KIND = "webhook/endpoint"

EVERY_VENDOR = ""
"""The vendor of an endpoint that receives the webhooks of all vendors."""


class EndpointRefused(Exception):
    """The endpoint cannot be added; ``reason`` says why."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.url}: {self.reason}"


class WrongSecret(Exception):
    """The secret does not have the vendor's form."""


@dataclass(frozen=True)
class ConfiguredEndpoint:
    """An endpoint of the settings."""

    url: str
    secret: str
    credential: str = EVERYBODY
    timestamps: Timestamps = "machine"


@dataclass(frozen=True)
class Source:
    """What a vendor knows of its webhooks.

    Attributes
    ----------
    policy : Policy
        How hard they are tried.
    configured : tuple of ConfiguredEndpoint
        Those that the settings name.
    headers : (secret, Message, sent_at: int, Signature) -> mapping of str to str
        Signs a message at the moment of its sending.
    announce_again : async (task_id) -> None
        Calls ``announce`` for a task if that is over; the process may have died before it came to that.
    new_secret : (drawn: bytes) -> str
        Spells a secret from 32 bytes.
    check_secret : (str) -> None
        Raises ``WrongSecret`` unless it is one.
    """

    policy: Policy
    headers: Callable[[str, Message, int, Signature], Mapping[str, str]]
    announce_again: Callable[[str], Awaitable[None]]
    new_secret: Callable[[bytes], str]
    check_secret: Callable[[str], None]
    configured: tuple[ConfiguredEndpoint, ...] = ()


class Endpoints(Stateful):
    """The endpoints of all credentials.

    Parameters
    ----------
    records, ids
        Where they are kept, and what names them.
    """

    def __init__(self, records: Records, ids: SeededIds) -> None:
        self._ids = ids
        self._kept: Kept[Endpoint] = Kept(records, KIND, Endpoint.to_document, Endpoint.from_document)
        self.sources: dict[str, Source] = {}

    def register(self, vendor: str, source: Source) -> None:
        """Add what a vendor knows of its webhooks.

        Raises
        ------
        EndpointRefused
            If a configured endpoint cannot be one.
        """
        for configured in source.configured:
            _check(configured.url, configured.secret, source)
        self.sources[vendor] = source

    @property
    def checks(self) -> Mapping[str, Check]:
        """A recorded endpoint has to be one."""
        return self._kept.checks

    async def load(self) -> None:
        """Read the endpoints from the records, and keep those of the settings among them."""
        await self._kept.load()
        await self._keep_configured()

    async def forget(self, credential: str | None) -> None:
        """Forget the endpoints of a credential, or all; those of the settings stay."""
        await self._kept.forget(credential)
        await self._keep_configured()

    def list(self, credential: str | None = None) -> list[Endpoint]:
        """Return the endpoints of a credential, or all, the oldest first."""
        return [
            entry.value for entry in self._kept.items().values() if credential in {None, entry.credential}
        ]

    def get(self, endpoint_id: str) -> Endpoint | None:
        """Return the endpoint of that id, or None."""
        return self._kept.get(endpoint_id)

    def listening(self, vendor: str, credential: str) -> Sequence[Endpoint]:
        """Return the endpoints that receive a vendor's webhooks of a credential's tasks."""
        return [
            endpoint
            for endpoint in self.list()
            if endpoint.vendor in {vendor, EVERY_VENDOR}
            and endpoint.credential in {credential, EVERYBODY}
            and endpoint.disabled is None
        ]

    async def add(
        self,
        vendor: str | None,
        url: str,
        credential: str = EVERYBODY,
        secret: str | None = None,
        timestamps: Timestamps = "machine",
    ) -> Endpoint:
        """Add an endpoint, with a made-up secret if none is given, and return it.

        Without a vendor it receives the webhooks of every vendor that has some.

        Raises
        ------
        EndpointRefused
            If the vendor has no webhooks, the URL or the secret is none, no secret suits all vendors, or
            the credential has as many endpoints as the vendor allows.
        """
        if not self.sources:
            raise EndpointRefused(url, "no vendor has webhooks")
        sources = self.sources if vendor is None else {vendor: self.sources.get(vendor)}
        found = {name: source for name, source in sources.items() if source is not None}
        if not found:
            raise EndpointRefused(url, f"{vendor} has no webhooks; {', '.join(self.sources)} has")
        if secret is None:
            drawn = await self._ids.draw(credential, "webhook/secret", 32)
            secret = _new_secret(url, list(found.values()), drawn)
        for source in found.values():
            _check(url, secret, source)
        number = await self._ids.draw(credential, KIND, 12)
        # Nothing is awaited from here until it is kept: endpoints that come at once are counted too.
        for name, source in found.items():
            count = sum(endpoint.vendor in {name, EVERY_VENDOR} for endpoint in self.list(credential))
            if count >= source.policy.most_endpoints:
                raise EndpointRefused(url, f"there are {count} endpoints already, which is the most")
        of = next(iter(found)) if len(found) == 1 else EVERY_VENDOR
        endpoint = Endpoint(f"ep_{number.hex()}", credential, of, url, secret, timestamps)
        await self._kept.put(endpoint.id, credential, endpoint)
        return endpoint

    async def remove(self, endpoint_id: str) -> bool:
        """Remove an endpoint, and return whether there was one."""
        return await self._kept.delete(endpoint_id)

    async def disable(self, endpoint_id: str, reason: str) -> None:
        """Send nothing more to an endpoint."""
        endpoint = self.get(endpoint_id)
        if endpoint is not None:
            await self._kept.put(endpoint_id, endpoint.credential, replace(endpoint, disabled=reason))

    async def _keep_configured(self) -> None:
        wanted = {
            f"ep_{hash_text(f'{vendor} {configured.credential} {configured.url}')[:24]}": (vendor, configured)
            for vendor, source in self.sources.items()
            for configured in source.configured
        }
        for endpoint in self.list():
            if endpoint.is_configured and endpoint.id not in wanted:
                await self._kept.delete(endpoint.id)
        for endpoint_id, (vendor, new) in wanted.items():
            kept = self.get(endpoint_id)
            if kept is None or (kept.secret, kept.timestamps) != (new.secret, new.timestamps):
                endpoint = Endpoint(
                    endpoint_id, new.credential, vendor, new.url, new.secret, new.timestamps,
                    is_configured=True,
                )  # fmt: skip
                await self._kept.put(endpoint_id, new.credential, endpoint)


def _new_secret(url: str, sources: Sequence[Source], drawn: bytes) -> str:
    """Return a secret in the form of the first vendor whose secrets all of them take."""
    for secret in (source.new_secret(drawn) for source in sources):
        with contextlib.suppress(WrongSecret):
            for source in sources:
                source.check_secret(secret)
            return secret
    raise EndpointRefused(url, "no secret has the form that every vendor asks for; name one vendor")


def _check(url: str, secret: str, source: Source) -> None:
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 80) > 0
    except ValueError:
        is_url = False
    if not is_url:
        raise EndpointRefused(url, "that is no URL of the web")
    try:
        source.check_secret(secret)
    except WrongSecret as error:
        raise EndpointRefused(url, str(error)) from error
