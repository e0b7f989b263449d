"""``face-emulator doctor``, which checks this machine and a running emulator without changing them."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from click.exceptions import Exit

from emulator.commands.connection import url_option
from emulator.commands.output import json_option, print_json, working
from face_api_emulator.installed import has_server

if TYPE_CHECKING:
    from face_api_emulator.client.models import Health

CONNECT_SECONDS = 5.0
"""Seconds to wait for a connection, or for a response of the emulator."""

HEALTH_BYTES = 1024 * 1024
"""Largest response to a health check to read, in bytes."""

SKEW_SECONDS = 60.0
"""Smallest difference between two clocks, in seconds, at which signatures and certificates can fail."""

MEMORY_BYTES = 1_500_000_000
"""Free memory that one server with one worker needs while it processes large pictures."""


class Result(StrEnum):
    """The result of a check."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """The result of one check, what was found, and what to do about it."""

    check: str
    result: Result
    found: str
    remedy: str = ""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@url_option
def doctor(*, as_json: bool, url: str) -> None:
    """Check this machine and the emulator, and whether clients reach the emulator.

    The command changes nothing, and never connects to a real vendor. It connects to the vendors' host names
    as a client in this environment would, so run it where your client runs, for example as
    `face-emulator exec -- face-emulator doctor`. The exit code is 1 if a check fails.
    """
    findings: list[Finding] = []
    checks = _findings(url)
    while True:
        with working("checking"):
            finding = next(checks, None)
        if finding is None:
            break
        findings.append(finding)
        if not as_json:
            click.echo(_line(finding))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    raise Exit(int(any(finding.result is Result.FAIL for finding in findings)))


def _line(finding: Finding) -> str:
    remedy = f" -> {finding.remedy}" if finding.remedy else ""
    return f"{finding.result}  {finding.check}: {finding.found}{remedy}"


def _findings(url: str) -> Iterator[Finding]:
    if has_server():
        yield _cores()
        yield _memory()
        yield _sealed()
        yield _models()
    else:
        remedy = "to run an emulator here, install `face-api-emulator[server]` on Python 3.11 or 3.12"
        yield Finding("package", Result.WARN, "only the client is installed", remedy)
    health, finding = _emulator(url)
    yield finding
    if health is None:
        if has_server():
            yield _port(url)
        return
    yield _clock(url)
    for name in _names(health):
        yield check_name(name)


def _names(health: Health) -> list[str]:
    """Return the host names that the emulator serves over TLS. Without TLS, return all known names."""
    if health.tls is not None:
        return health.tls.names
    if not has_server():
        return []
    from emulator.settings import VendorPackages
    from emulator.web.vendor import discover_vendors

    vendors = discover_vendors(VendorPackages().vendor_packages)
    return sorted(name for vendor in vendors for name in (*vendor.hosts, *vendor.stores))


def _cores() -> Finding:
    cores = os.cpu_count() or 1
    if cores >= 2:
        return Finding("cores", Result.PASS, f"{cores}")
    return Finding("cores", Result.WARN, f"{cores}", "work with pictures delays other calls; use 2 or more")


def _memory() -> Finding:
    import psutil

    free = psutil.virtual_memory().available
    found = f"{free / 1e9:.1f} GB free"
    if free >= MEMORY_BYTES:
        return Finding("memory", Result.PASS, found)
    return Finding("memory", Result.WARN, found, "free some memory, or set FACE_EMULATOR_WORKERS=1")


def _sealed() -> Finding:
    """Try the namespaces of ``exec --sealed`` in a child process."""
    import subprocess

    code = "from emulator.commands.namespace import seal; seal([])"
    ran = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    if ran.returncode == 0:
        return Finding("exec --sealed", Result.PASS, "this system allows it")
    reason = ran.stderr.strip().rpartition("SealRefused: ")[2].rpartition("\n")[2]
    return Finding("exec --sealed", Result.WARN, "this system does not allow it", reason)


def _models() -> Finding:
    from emulator.pipelines.common import WARM_UP

    try:
        WARM_UP.resolve()()
    except Exception as error:  # noqa: BLE001 - whatever a native library raises
        return Finding("face core", Result.FAIL, f"{type(error).__name__}: {error}", "reinstall the package")
    return Finding("face core", Result.PASS, "loaded, and found the face in a sample")


def _emulator(url: str) -> tuple[Health | None, Finding]:
    from urllib.error import HTTPError

    from face_api_emulator.client import Client, ControlError, EmulatorUnreachable

    try:
        # Check with a short timeout first: the client waits for a minute, and another server on the port may
        # never respond.
        with _open_ready(url):
            pass
    except HTTPError:
        pass  # there is a server
    except (OSError, ValueError) as error:
        remedy = "start it with `face-emulator serve`, or check --url"
        return None, Finding("emulator", Result.WARN, f"no emulator answers at {url} ({error})", remedy)
    try:
        with Client(url) as client:
            health = client.health()
            ready = client.ready()
    except (EmulatorUnreachable, ControlError) as error:
        reason = error.reason if isinstance(error, EmulatorUnreachable) else str(error)
        remedy = "start it with `face-emulator serve`, or check --url"
        return None, Finding("emulator", Result.WARN, f"no emulator answers at {url} ({reason})", remedy)
    tls = "without TLS" if health.tls is None else f"TLS at {health.tls.url}"
    found = f"{health.version} at {url}, {tls}"
    if not ready:
        return health, Finding("emulator", Result.WARN, f"{found}, not ready yet", "run `face-emulator wait`")
    return health, Finding("emulator", Result.PASS, f"{found}, ready")


def _port(url: str) -> Finding:
    """Try to listen on the emulator's port."""
    from emulator.server.listeners import AddressInUse, AddressUnusable, bind

    address = urlsplit(url)
    host, port = address.hostname or "127.0.0.1", address.port or 80
    try:
        for bound in bind([host], port):
            bound.close()
    except AddressInUse:
        remedy = "stop that server, or use `face-emulator serve --port`"
        return Finding("port", Result.FAIL, f"another server listens on {host}:{port}", remedy)
    except AddressUnusable as error:
        return Finding("port", Result.FAIL, str(error), "choose another host or port")
    return Finding("port", Result.PASS, f"{host}:{port} is free")


def _clock(url: str) -> Finding:
    import time

    from face_api_emulator.client import Client

    with Client(url) as client:
        reading = client.clock()
    skew = abs(reading.now - time.time())
    if skew < SKEW_SECONDS:
        return Finding("clock", Result.PASS, "the emulator's clock has the time of this machine")
    found = f"the emulator's clock differs by {skew:.0f} s from this machine's"
    return Finding("clock", Result.WARN, found, "if you did not set it, run `face-emulator clock reset`")


def check_name(name: str, *, connect: Callable[[str], socket.socket | str] | None = None) -> Finding:
    """Check that clients in this environment reach and trust the emulator at a vendor's name."""
    import ssl

    check = f"https://{name}"
    remedy = 'run your client with `face-emulator exec`, or run `eval "$(face-emulator env)"` first'
    connection = (connect or _connect)(name)
    if isinstance(connection, str):
        return Finding(check, Result.WARN, connection, remedy)
    context = ssl.create_default_context()
    try:
        with closing(context.wrap_socket(connection, server_hostname=name)) as secured:
            certificate: Any = secured.getpeercert()
    except ssl.SSLCertVerificationError as error:
        return Finding(check, Result.FAIL, f"not trusted: {error.verify_message}", remedy)
    except OSError as error:
        return Finding(check, Result.FAIL, f"no TLS: {error}", "start the emulator with --tls")
    issuer = dict(pair for (pair,) in certificate["issuer"])
    if issuer.get("organizationName") != "face-api-emulator":
        return Finding(check, Result.FAIL, "another server answers", remedy)
    return Finding(check, Result.PASS, "reaches the emulator, trusted")


def _connect(name: str) -> socket.socket | str:
    """Connect to port 443 of a name, or return why that is not possible.

    The connection goes through the proxy of the environment, if there is one. So that the command never
    reaches a real vendor, other proxies than the emulator's and, without a proxy, public addresses are
    refused.
    """
    import urllib.request

    proxy = "" if urllib.request.proxy_bypass(name) else urllib.request.getproxies().get("https", "")
    try:
        return _connect_by(proxy, name) if proxy else _connect_directly(name)
    except OSError as error:
        return f"no connection: {error}"


def _connect_by(proxy: str, name: str) -> socket.socket | str:
    address = urlsplit(proxy)
    host, port = address.hostname or "", address.port or 80
    if not _is_emulator(host, port):
        return f"the proxy {host}:{port} is not the emulator, and may lead to the real service"
    connection = socket.create_connection((host, port), timeout=CONNECT_SECONDS)
    connection.sendall(f"CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n") and (byte := connection.recv(1)):
        head += byte
    status = head.partition(b"\r\n")[0].decode("latin-1")
    if " 200" in status:
        return connection
    connection.close()
    return f"the proxy {proxy} refuses the connection: {status}"


def _is_emulator(host: str, port: int) -> bool:
    """Return whether a server answers the emulator's health check."""
    import http.client

    with closing(http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)) as connection:
        try:
            connection.request("GET", "/_emulator/health")
            answer = connection.getresponse()
            health = json.loads(answer.read(HEALTH_BYTES)) if answer.status == HTTPStatus.OK else None
        except (http.client.HTTPException, ValueError):
            return False
    return isinstance(health, dict) and "vendors" in health


def _connect_directly(name: str) -> socket.socket | str:

    addresses = socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)
    public = [str(each[4][0]) for each in addresses if ipaddress.ip_address(each[4][0]).is_global]
    if public:
        return f"resolves to {public[0]}, the real service"
    return socket.create_connection((name, 443), timeout=CONNECT_SECONDS)


@click.command()
@url_option
@json_option
def healthcheck(*, url: str, as_json: bool) -> None:
    """Exit with 0 if the emulator is ready, otherwise with 1. Use it for container health checks."""
    try:
        with _open_ready(url):
            if as_json:
                print_json({"ready": True})
    except (OSError, ValueError) as error:
        if as_json:
            print_json({"ready": False})
        click.echo(f"face-emulator: {url} is not ready: {error}", err=True)
        raise Exit(1) from error


def _open_ready(url: str) -> AbstractContextManager[object]:
    """Request the readiness of the emulator, and wait for at most ``CONNECT_SECONDS``."""
    import urllib.request

    # Ignore the proxy of the environment, like all commands that call the emulator.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    answer: AbstractContextManager[object] = opener.open(
        f"{url.rstrip('/')}/_emulator/ready", timeout=CONNECT_SECONDS
    )
    return answer
