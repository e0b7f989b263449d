"""The endpoints of webhooks, and the vendors that send webhooks to them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from emulator.backends.records import Records
from emulator.backends.records.kept import RecordCache
from emulator.backends.stateful import Check, EntryCheck, Stateful, Stored, bare_url, require, strictly
from emulator.clock import ALL_CREDENTIALS
from emulator.deferral import DeferredAdapter
from emulator.ids import SeededIds, hash_text
from emulator.webhooks.delivery import Endpoint, Message, Policy, Timestamps
from emulator.webhooks.fault import Signature

KIND = "webhook/endpoint"

STORED = DeferredAdapter(Endpoint)

EVERY_VENDOR = ""
"""Value of ``Endpoint.vendor`` for an endpoint that receives the webhooks of all vendors."""


class EndpointRefused(Exception):
    """The endpoint cannot be added."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.url}: {self.reason}"


class WrongSecret(Exception):
    """The secret does not have the format of the vendor."""


@dataclass(frozen=True)
class ConfiguredEndpoint:
    """An endpoint in the settings."""

    url: str
    secret: str
    credential: str = ALL_CREDENTIALS
    timestamps: Timestamps = "machine"


@dataclass(frozen=True)
class Source:
    """A vendor that sends webhooks.

    Attributes
    ----------
    policy : Policy
        Retry policy and limits.
    configured : tuple of ConfiguredEndpoint
        Endpoints in the settings.
    headers : (secret, Message, sent_at: int, Signature) -> mapping of str to str
        Returns the headers of a message, including the signature for the time ``sent_at``.
    announce_again : async (task_id) -> None
        Announces the end of a finished task. Called after a restart, and after the end of another process,
        because a process may have been killed before it announced the end.
    new_secret : (drawn: bytes) -> str
        Returns a secret that encodes 32 random bytes.
    check_secret : (str) -> None
        Raises ``WrongSecret`` if a secret does not have the format of the vendor.
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
        Storage of the endpoints, and the source of their ids and secrets.
    """

    def __init__(self, records: Records, ids: SeededIds) -> None:
        self._ids = ids
        self._cache: RecordCache[Endpoint] = RecordCache(
            records, KIND, Endpoint.to_document, Endpoint.from_document
        )
        self.sources: dict[str, Source] = {}
        self._adding = asyncio.Lock()

    def register(self, vendor: str, source: Source) -> None:
        """Add a vendor that sends webhooks.

        Raises
        ------
        EndpointRefused
            If an endpoint in the settings is invalid.
        """
        for configured in source.configured:
            _check(configured.url, configured.secret, source)
        self.sources[vendor] = source

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validator of stored endpoints."""
        return self._cache.checks

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """An endpoint must be stored under its id, and be one that ``add`` accepts."""
        return {KIND: self._check_entry}

    def without_secrets(self, kind: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an endpoint with another signing secret, and without the secret parts of its URL."""
        del kind
        vendors = [document["vendor"]] if document["vendor"] else list(self.sources)
        drawn = hashlib.sha256(document["id"].encode()).digest()
        secret = _new_secret(document["url"], [self.sources[vendor] for vendor in vendors], drawn)
        return {**document, "secret": secret, "url": bare_url(document["url"])}

    async def load(self) -> None:
        """Read the endpoints from the database, and update those that come from the settings.

        If several processes with different settings share the database, the last one to start decides.
        """
        await self._cache.load()
        configured = self._configured()
        for endpoint in self.list():
            if endpoint.is_configured and endpoint.id not in configured:
                await self._cache.delete(endpoint.id)
        await self._keep(configured)

    async def forget(self, credential: str | None) -> None:
        """Delete the endpoints of ``credential``, or of all credentials, except those from the settings."""
        await self._cache.forget(credential)
        configured = self._configured()
        await self._keep(
            {key: each for key, each in configured.items() if credential in {None, each.credential}}
        )

    def list(self, credential: str | None = None) -> list[Endpoint]:
        """Return the endpoints of ``credential``, or of all credentials, the oldest first."""
        return [
            entry.value for entry in self._cache.items().values() if credential in {None, entry.credential}
        ]

    def get(self, endpoint_id: str) -> Endpoint | None:
        """Return an endpoint, or None if it does not exist."""
        return self._cache.get(endpoint_id)

    def get_enabled(self, endpoint_id: str) -> Endpoint | None:
        """Return an endpoint, or None if it was removed or disabled."""
        endpoint = self.get(endpoint_id)
        return None if endpoint is None or endpoint.disabled is not None else endpoint

    def listening(self, vendor: str, credential: str) -> Sequence[Endpoint]:
        """Return the endpoints that receive the webhooks of a vendor for a credential."""
        return [
            endpoint
            for endpoint in self.list()
            if endpoint.vendor in {vendor, EVERY_VENDOR}
            and endpoint.credential in {credential, ALL_CREDENTIALS}
            and endpoint.disabled is None
        ]

    async def add(
        self,
        vendor: str | None,
        url: str,
        credential: str = ALL_CREDENTIALS,
        secret: str | None = None,
        timestamps: Timestamps = "machine",
    ) -> Endpoint:
        """Add an endpoint and return it. A secret is generated if none is given.

        Without ``vendor``, the endpoint receives the webhooks of every vendor.

        Raises
        ------
        EndpointRefused
            If the vendor sends no webhooks, the URL or the secret is invalid, or the credential already has
            the largest number of endpoints. Also if ``vendor`` and ``secret`` are both omitted, and no
            generated secret is valid for all vendors.
        """
        if not self.sources:
            raise EndpointRefused(url, "no vendor has webhooks")
        sources = self.sources if vendor is None else {vendor: self.sources.get(vendor)}
        found = {name: source for name, source in sources.items() if source is not None}
        if not found:
            raise EndpointRefused(
                url, f"{vendor} has no webhooks; vendors with webhooks: {', '.join(self.sources)}"
            )
        if secret is None:
            drawn = await self._ids.draw(credential, "webhook/secret", 32)
            secret = _new_secret(url, list(found.values()), drawn)
        for source in found.values():
            _check(url, secret, source)
        # Otherwise, concurrent calls could exceed the limit. Calls to several processes still can.
        async with self._adding:
            for name, source in found.items():
                count = sum(endpoint.vendor in {name, EVERY_VENDOR} for endpoint in self.list(credential))
                if count >= source.policy.most_endpoints:
                    raise EndpointRefused(
                        url, f"the credential already has {count} endpoints, the largest number allowed"
                    )
            of = next(iter(found)) if len(found) == 1 else EVERY_VENDOR
            number = await self._ids.draw(credential, KIND, 12)
            endpoint = Endpoint(f"ep_{number.hex()}", credential, of, url, secret, timestamps)
            await self._cache.put(endpoint.id, credential, endpoint)
        return endpoint

    async def remove(self, endpoint_id: str) -> bool:
        """Remove an endpoint, and return whether it existed."""
        return await self._cache.delete(endpoint_id)

    async def disable(self, endpoint_id: str, reason: str) -> None:
        """Disable an endpoint, so that no more webhooks are sent to it."""
        endpoint = self.get(endpoint_id)
        if endpoint is not None:
            await self._cache.change(
                endpoint_id,
                endpoint.credential,
                lambda current: None if current is None else replace(current, disabled=reason),
            )

    def _check_entry(self, entry: Stored) -> None:
        endpoint = strictly(STORED, entry.document)
        stored = (endpoint.id, endpoint.credential)
        require(stored == (entry.key, entry.credential), "the id must be the key")
        require(endpoint.vendor in {EVERY_VENDOR, *self.sources}, "the vendor has no webhooks")
        sources = [self.sources[endpoint.vendor]] if endpoint.vendor else self.sources.values()
        try:
            for source in sources:
                _check(endpoint.url, endpoint.secret, source)
        except EndpointRefused as error:
            raise ValueError(str(error)) from error

    def _configured(self) -> dict[str, Endpoint]:
        """Return the endpoints in the settings, by id."""
        found = {}
        for vendor, source in self.sources.items():
            for new in source.configured:
                endpoint_id = f"ep_{hash_text(f'{vendor} {new.credential} {new.url}')[:24]}"
                found[endpoint_id] = Endpoint(
                    endpoint_id, new.credential, vendor, new.url, new.secret, new.timestamps,
                    is_configured=True,
                )  # fmt: skip
        return found

    async def _keep(self, configured: Mapping[str, Endpoint]) -> None:
        """Store endpoints from the settings. A disabled one stays disabled, unless its settings changed."""

        def keep(kept: Endpoint | None, wanted: Endpoint) -> Endpoint:
            if kept is None or (kept.secret, kept.timestamps) != (wanted.secret, wanted.timestamps):
                return wanted
            return kept

        for endpoint_id, wanted in configured.items():
            await self._cache.change(endpoint_id, wanted.credential, partial(keep, wanted=wanted))


def _new_secret(url: str, sources: Sequence[Source], drawn: bytes) -> str:
    """Return a secret that is valid for all ``sources``, or raise EndpointRefused if there is none."""
    for secret in (source.new_secret(drawn) for source in sources):
        with contextlib.suppress(WrongSecret):
            for source in sources:
                source.check_secret(secret)
            return secret
    raise EndpointRefused(url, "no secret is valid for all vendors; name one vendor")


def _check(url: str, secret: str, source: Source) -> None:
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 80) > 0
    except ValueError:
        is_url = False
    if not is_url:
        raise EndpointRefused(url, "it is not an http or https URL")
    try:
        source.check_secret(secret)
    except WrongSecret as error:
        raise EndpointRefused(url, str(error)) from error
