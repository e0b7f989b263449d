"""Ask a vendor and an emulator with niquests, and print the answers. Runs in a process of its own.

The package urllib3-future, on which niquests depends, replaces urllib3, so the tests must not import it.
"""

from __future__ import annotations

import _socket
import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import Any

import niquests
import uvloop

from face_api_emulator.testing.redirect import redirected
from face_api_emulator.testing.seal import sealed

given = json.loads(sys.argv[1])
NAME, VENDOR, CA_FILE = given["name"], given["vendor"], given["vendor_ca"]
REDIRECT: dict[str, Any] = {
    "plain": tuple(given["plain"]),
    "tls": tuple(given["tls"]),
    "ca": Path(given["ca"]).read_text(),
}
OURS = (VENDOR, f"https://{NAME}/", f"http://{NAME}/")
OUTSIDE = ("https://outside.invalid/", "http://192.0.2.1:8080/")

original = _socket.getaddrinfo


def getaddrinfo(host: Any, *arguments: Any) -> Any:
    return original("127.0.0.1" if host in {NAME, NAME.encode()} else host, *arguments)


async def loop_getaddrinfo(_loop: Any, host: Any, port: Any, **options: Any) -> Any:
    return socket.getaddrinfo(host, port, **options)


_socket.getaddrinfo = getaddrinfo
uvloop.Loop.getaddrinfo = loop_getaddrinfo


def synchronous(**options: Any) -> list[Any]:
    with niquests.Session(**options) as session:
        session.verify = CA_FILE
        texts = [session.post(VENDOR, data=b"body").text]
        with sealed() as seal:
            with redirected([NAME], **REDIRECT):
                texts += [session.post(url, data=b"body").text for url in OURS]
                with niquests.Session(**options) as later:
                    texts.append(later.post(OURS[1], data=b"body").text)
            for url in OUTSIDE:
                try:
                    session.get(url)
                except OSError as error:
                    texts.append("this test is sealed" in str(error))
        texts.append(session.post(VENDOR, data=b"body").text)
        return [*texts, *(attempt.target for attempt in seal.attempts)]


async def asynchronous(**options: Any) -> list[Any]:
    async with niquests.AsyncSession(**options) as session:
        session.verify = CA_FILE
        texts = [(await session.post(VENDOR, data=b"body")).text]
        with sealed() as seal:
            with redirected([NAME], **REDIRECT):
                texts += [(await session.post(url, data=b"body")).text for url in OURS]
                async with niquests.AsyncSession(**options) as later:
                    texts.append((await later.post(OURS[1], data=b"body")).text)
            for url in OUTSIDE:
                try:
                    await session.get(url)
                except OSError as error:
                    texts.append("this test is sealed" in str(error))
        texts.append((await session.post(VENDOR, data=b"body")).text)
        return [*texts, *(attempt.target for attempt in seal.attempts)]


def with_http_3() -> str:
    """Return the text for a session that believes that the vendor offers HTTP/3."""
    with niquests.Session() as session:
        session.quic_cache_layer.add_domain(NAME)
        with redirected([NAME], **REDIRECT):
            return str(session.get(f"https://{NAME}/").text)


results: dict[str, Any] = {"HTTP/3": with_http_3()}
for name, options in {"": {}, " with happy eyeballs": {"happy_eyeballs": True}}.items():
    results[f"synchronous{name}"] = synchronous(**options)
    results[f"asyncio{name}"] = asyncio.run(asynchronous(**options))
    results[f"uvloop{name}"] = uvloop.run(asynchronous(**options))
print(json.dumps(results))
