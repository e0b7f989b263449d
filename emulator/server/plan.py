"""What a server needs before it starts: its listening sockets and its certificate authority."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from urllib.parse import urlencode

from fastapi import FastAPI

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.clock import machine_time
from emulator.control.gate import CONSOLE
from emulator.control.status import Tls
from emulator.server.listeners import base_url, bind, reachable
from emulator.server.relay import Relay
from emulator.settings import Settings
from emulator.web.vendor import Vendor, discover_vendors


@dataclass(frozen=True)
class Listening:
    """A running server.

    Attributes
    ----------
    app : FastAPI
        Application of the server.
    base_url : str
        Base URL of the server.
    control_url : str or None
        Base URL of the control API; None if the control API is off.
    tls_url : str or None
        Base URL over TLS; None if TLS is off.
    ca_file : Path or None
        Certificate of the authority that clients must trust; None if TLS is off.
    """

    app: FastAPI
    base_url: str
    control_url: str | None
    tls_url: str | None = None
    ca_file: Path | None = None

    @property
    def console_url(self) -> str | None:
        """Link to the console, with the token if the console requires one; None if it is not served."""
        if self.control_url is None:
            return None
        token = self.app.state.gate.console_token
        return f"{self.control_url}{CONSOLE}" + ("" if token is None else f"?{urlencode({'token': token})}")


@dataclass(frozen=True)
class Trust:
    """What the TLS listener needs: the served names, the context, and the file that clients must trust."""

    names: frozenset[str]
    context: ssl.SSLContext
    ca_file: Path

    @classmethod
    def open(cls, settings: Settings, vendors: Sequence[Vendor]) -> Trust:
        """Open the certificate authority, or create it at the first start, and write the trust files."""
        # Importing cryptography takes longer than importing the rest of the server.
        from emulator.tls.authority import open_authority  # noqa: PLC0415 - on demand, see above
        from emulator.tls.context import server_context  # noqa: PLC0415 - on demand, see above
        from emulator.tls.trust import write_trust_files  # noqa: PLC0415 - on demand, see above

        names = frozenset(name for vendor in vendors for name in (*vendor.hosts, *vendor.stores))
        authority = open_authority(tls_folder(settings), names, machine_time())
        files = write_trust_files(authority)
        return cls(names, server_context(authority, names, machine_time), files.ca)


@dataclass(frozen=True)
class Plan:
    """What a server needs to start: its settings, its listening sockets, and what it needs for TLS."""

    settings: Settings
    plain: list[socket]
    control: list[socket]
    tls: list[socket]
    trust: Trust | None

    @classmethod
    def bind(
        cls,
        settings: Settings,
        hosts: Sequence[str],
        port: int,
        tls_port: int | None,
        stack: contextlib.ExitStack,
    ) -> Plan:
        """Return a plan with sockets that listen on all ``hosts``. ``stack`` closes the sockets."""
        vendors = discover_vendors(settings.vendor_packages)
        trust = None if tls_port is None else Trust.open(settings, vendors)
        plain = _bind(hosts, port, stack)
        tls = [] if tls_port is None else _bind(hosts, tls_port, stack)
        control: list[socket] = []
        if settings.control_port is not None and settings.control != "off":
            control = _bind(["127.0.0.1"], settings.control_port, stack)
            settings = settings.model_copy(update={"control_port": control[0].getsockname()[1]})
        return cls(settings, plain, control, tls, trust)

    def application(self, workers: WorkerPool | None = None) -> FastAPI:
        """Return the application. If TLS is on, the application's health check describes the TLS listener."""
        app = create_app(self.settings, workers=workers)
        if self.trust is not None:
            app.state.progress.tls = Tls(
                url=base_url(self.tls[0], "https"),
                folder=str(self.trust.ca_file.parent),
                names=sorted(self.trust.names),
            )
        return app

    def listening(self, app: FastAPI) -> Listening:
        """Return the description of the running server."""
        plain = base_url(self.plain[0])
        control = None if self.settings.control == "off" else base_url((self.control or self.plain)[0])
        if self.trust is None:
            return Listening(app, plain, control)
        return Listening(app, plain, control, base_url(self.tls[0], "https"), self.trust.ca_file)

    @property
    def relay(self) -> Relay:
        """The relay of the proxy. Tunnels to vendors' names end at the first TLS listener."""
        host, port = self.tls[0].getsockname()[:2] if self.tls else ("", 0)
        return Relay(
            () if self.trust is None else self.trust.names,
            (reachable(host), port) if self.tls else None,
            is_open=self.settings.proxy_others,
        )


def tls_folder(settings: Settings) -> Path:
    """Return the authority's folder. It is in the data folder or, without one, in a folder of the user."""
    if settings.data_dir is not None:
        return settings.data_dir / "tls"
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state, "face-api-emulator", "tls")


def _bind(hosts: Sequence[str], port: int, stack: contextlib.ExitStack) -> list[socket]:
    return [stack.enter_context(bound) for bound in bind(hosts, port)]
