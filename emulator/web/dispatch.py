"""The outermost middleware, which passes each request to a vendor or to the control API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.backends.queue import CLIENT_LEAVING
from emulator.clock import Setting, Stopwatch
from emulator.web.call import Call
from emulator.web.capture.capture import Capture
from emulator.web.exchange import BodyMemory, Exchange, too_large
from emulator.web.headers import header_of
from emulator.web.length import declared_length
from emulator.web.proxy import ANSWERED, PROXY, TLS_NAME, not_served
from emulator.web.vendor import Vendor
from emulator.world.journal.bodies import RawCall
from emulator.world.journal.entry import PROXY_VENDOR, SERVER_VENDOR, Entry
from emulator.world.warnings import WARNINGS, CallWarning, CallWarnings
from emulator.world.world import World

CONTROL = "/_emulator/"

SNAPSHOT = "/_emulator/snapshot"
"""Path for snapshots. Their bodies are not held in memory, but written to a file as they arrive."""

SNAPSHOT_BYTES = 1024**4
"""Largest snapshot, in bytes. A longer one is a mistake."""

CONTROL_BYTES = 1024 * 1024
"""Largest request body of the control API, in bytes, except for snapshots."""

MISDIRECTED = "The Host is not the name of the TLS connection."

Gate = Callable[[Scope], ASGIApp | None]
"""Returns an application that refuses a request to the control API, or None to serve the request."""


class Dispatch:
    """ASGI middleware that passes each request to the vendor of its host or path prefix.

    Each vendor has an application of its own, so that 404, 405 and 500 responses have the vendor's format.
    Every request to a vendor's host name goes to this vendor. A request to the proxy for any other host is
    refused, or passed on to the host. All remaining requests go to the control API, if the gate allows them.

    Parameters
    ----------
    app : ASGI application
        The control API.
    vendors : sequence of Vendor
        The vendors, with their hosts, stores and prefixes.
    applications : mapping of str to ASGI application
        The vendors' applications, by vendor.
    world : World
        The state of the emulator, with the faults and the journal.
    gate : callable
        Decides which requests reach the control API.
    body_seconds : float
        Longest pause in a request body, in real seconds.
    memory : BodyMemory or None
        The memory for the request bodies of all connections. None for no limit.
    forward : ASGI application or None
        Passes a proxied request on to its host. None to refuse proxied requests for hosts that are not a
        vendor's.
    """

    def __init__(
        self,
        app: ASGIApp,
        vendors: Sequence[Vendor],
        applications: Mapping[str, ASGIApp],
        world: World,
        gate: Gate,
        body_seconds: float,
        memory: BodyMemory | None = None,
        forward: ASGIApp | None = None,
    ) -> None:
        self._app = app
        self._applications = applications
        self._world = world
        self._gate = gate
        self._body_seconds = body_seconds
        self._memory = memory
        self._forward = forward
        self._by_host = {host: vendor for vendor in vendors for host in (*vendor.hosts, *vendor.stores)}
        self._stores = {host: prefix for vendor in vendors for host, prefix in vendor.stores.items()}
        self._by_prefix = [(prefix, f"{prefix}/", vendor) for vendor in vendors for prefix in vendor.prefixes]
        # Mask the secrets of all vendors, because a client may send a key to the wrong vendor.
        self._secrets = sorted({name for vendor in vendors for name in vendor.secret_fields})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answered = scope.get("extensions", {}).get(ANSWERED)
        if answered is not None:
            await self._record_answered(scope, Capture(scope), answered["status"], answered["reason"])
            return
        # A base URL that ends in a slash leads to a path with two slashes.
        scope["path"] = "/" + scope["path"].lstrip("/")
        exchange = Exchange(scope, receive, send, self._body_seconds)
        state = scope.setdefault("state", {})
        state["exchange"] = exchange
        host = _host_of(scope)
        vendor = self._vendor_of(scope, host)
        refusal = None if vendor is not None else self._refusal(scope)
        app: ASGIApp
        if vendor is not self._by_host.get(_tls_name(scope), vendor):
            # A client that has checked a vendor's name in the TLS certificate must not reach anything else.
            misdirected = CallWarning(WARNINGS["request-refused"].code, MISDIRECTED)
            self._record(exchange, scope, _Values(SERVER_VENDOR, warnings=[misdirected]))
            app = PlainTextResponse(f"{MISDIRECTED}\n", 421)
            vendor = None
        elif refusal is not None:
            warning = CallWarning(WARNINGS["proxy-refused"].code, refusal)
            self._record(exchange, scope, _Values(PROXY_VENDOR, warnings=[warning]))
            app = PlainTextResponse(f"{refusal}\n", 403, {"connection": "close"})
        elif vendor is None and PROXY in scope.get("extensions", {}):
            app = self._passed_on
        elif vendor is None:
            app = self._gate(scope) or self._app
            is_snapshot = scope["path"] == SNAPSHOT
            exchange.memory = None if is_snapshot else self._memory
            exchange.longest_body = SNAPSHOT_BYTES if is_snapshot else CONTROL_BYTES
            if declared_length(scope) > exchange.longest_body:
                app = too_large(exchange.longest_body)
        else:
            app = self._applications[vendor.name]
            # On a file store's own host, paths lack the prefix that they have on other hosts.
            scope["path"] = self._stores.get(host, "") + scope["path"]
        if vendor is not None:
            call = exchange.call = state["call"] = Call(vendor, self._world.faults, scope)
            self._record(exchange, scope, call)
            exchange.memory = self._memory
            # Each request runs in an asyncio task of its own, and so in a context of its own.
            CLIENT_LEAVING.set(exchange.until_client_leaves)
        try:
            await exchange.run(app)
        except ClientDisconnect:
            pass  # no response is possible
        finally:
            # Both refer to the scope. Without these cycles, everything is freed at once.
            state.pop("exchange")
            state.pop("call", None)

    def _vendor_of(self, scope: Scope, host: str) -> Vendor | None:
        named = self._by_host.get(host)
        if named is not None or PROXY in scope.get("extensions", {}):
            return named
        path: str = scope["path"]
        if path.startswith(CONTROL):
            return None
        for prefix, folder, vendor in self._by_prefix:
            if path.startswith(folder) or path == prefix:
                return vendor
        return None

    def _refusal(self, scope: Scope) -> str | None:
        """Return why the proxy refuses a request, or None for all other requests."""
        proxied = scope.get("extensions", {}).get(PROXY)
        if proxied is None:
            return None
        reason: str | None = proxied["reason"]
        return reason or (None if self._forward is not None else not_served(proxied["authority"]))

    async def _passed_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to another host, and record it without its bodies."""
        capture = Capture(scope)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._record_answered(scope, capture, message["status"], None)
            await send(message)

        if self._forward is not None:
            await self._forward(scope, receive, noting)

    def _record(self, exchange: Exchange, scope: Scope, called: Call | _Values) -> None:
        """When an exchange ends, count it, and record it."""
        stopwatch = Stopwatch()
        capture = None
        if self._world.journal.is_on:
            capture = Capture(scope, stopwatch, self._world.bodies.begin())
        exchange.record(capture, partial(self._finish, exchange, called, stopwatch, capture, scope["state"]))

    async def _finish(
        self,
        exchange: Exchange,
        called: Call | _Values,
        stopwatch: Stopwatch,
        capture: Capture | None,
        state: MutableMapping[str, Any],
    ) -> None:
        values = _values_of(called) if isinstance(called, Call) else called
        self._count(values, exchange.status, stopwatch)
        if capture is not None:
            await self._note(capture, values, state)

    async def _record_answered(self, scope: Scope, capture: Capture, status: int, reason: str | None) -> None:
        """Count and record a request that the server has answered itself, or that was passed on to a host.

        Requests to the control API are neither counted nor recorded.
        """
        vendor = self._vendor_of(scope, _host_of(scope))
        if vendor is None and scope["path"].startswith(CONTROL):
            return
        others = PROXY_VENDOR if PROXY in scope["extensions"] else SERVER_VENDOR
        warnings = [] if reason is None else [CallWarning(WARNINGS["request-refused"].code, reason)]
        values = _Values(others if vendor is None else vendor.name, warnings=warnings)
        self._count(values, status, capture.stopwatch)
        if not self._world.journal.is_on:
            return
        capture.note_sent({"type": "http.response.start", "status": status, "headers": []})
        capture.note_sent({"type": "http.response.body"})
        await self._note(capture, values, {})

    def _count(self, values: _Values, status: int | None, stopwatch: Stopwatch) -> None:
        self._world.call_counts.note(values.vendor, values.operation, status, stopwatch.elapsed_s())

    async def _note(self, capture: Capture, values: _Values, state: MutableMapping[str, Any]) -> None:
        """Add a call to the journal, and its number to ``state``."""
        raw, capture.raw = capture.raw, None
        if raw is not None:
            raw.scope, raw.credential = capture.scope, values.credential
        held = capture.close()
        if values.warnings:
            held += sum(len(each.detail) + 200 for each in values.warnings)
        held += 0 if values.fault is None else len(str(values.fault))
        make = partial(self._entry, capture, values)
        self._world.journal.note(values.credential, held, make, partial(self._number, state, raw))
        await self._world.journal.settle()

    def _entry(self, capture: Capture, values: _Values, number: int, setting: Setting) -> Entry:
        return capture.entry(number, setting, self._secrets, **values._asdict())

    def _number(self, state: MutableMapping[str, Any], raw: RawCall | None, number: int) -> None:
        state["call_number"] = number
        if raw is not None:
            self._world.bodies.put(number, raw)


class _Values(NamedTuple):
    """What the journal shows of a call besides its request and its response."""

    vendor: str
    operation: str | None = None
    credential: str | None = None
    fault: dict[str, Any] | None = None
    warnings: CallWarnings | Sequence[CallWarning] = ()


def _values_of(call: Call) -> _Values:
    return _Values(call.contract.name, call.operation, call.credential, _fault_of(call), call.warnings or ())


def _fault_of(call: Call) -> dict[str, Any] | None:
    if call.injection is None:
        return None
    effect = call.injection.effect.model_dump(mode="json", exclude_defaults=True)
    return {"source": call.injection.source, "effect": effect}


def _host_of(scope: Scope) -> str:
    """Return the header ``Host`` in lower case, without its port and without a final dot."""
    host = header_of(scope, b"host") or b""
    return host.decode("latin-1").partition(":")[0].rstrip(".").lower()


def _tls_name(scope: Scope) -> str:
    """Return the name that the client asked for in its TLS handshake, or an empty string."""
    name: str = scope.get("extensions", {}).get(TLS_NAME, {}).get("name", "")
    return name
