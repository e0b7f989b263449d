from __future__ import annotations

import subprocess
import sys

import pytest
from redirect_peers import NAME, Peer

pytestmark = pytest.mark.usefixtures("nothing_is_left")


LATE = """
import sys
from face_api_emulator.testing.redirect import redirected
name, host, plain, tls, ca = sys.argv[1:]
with redirected([name], plain=(host, int(plain)), tls=(host, int(tls)), ca=open(ca).read()):
    import asyncio, aiohttp, httpx, uvloop
    async def main():
        async with aiohttp.ClientSession() as session, httpx.AsyncClient() as client:
            async with session.get(f"https://{name}/") as answer:
                print(await answer.text(), (await client.get(f"https://{name}/")).text)
    asyncio.run(main())
    uvloop.run(main())
print("getaddrinfo" in vars(uvloop.Loop), aiohttp.connector.TCPConnector._resolve_host.__module__)
print(type(uvloop.__spec__.loader).__module__, type(uvloop.__loader__).__module__)
"""


def test_libraries_may_be_imported_later(emulator: Peer) -> None:
    arguments = [NAME, emulator.plain[0], str(emulator.plain[1]), str(emulator.tls[1]), str(emulator.ca_file)]
    done = subprocess.run(  # noqa: S603 - the program above
        [sys.executable, "-c", LATE, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        *["emulator emulator"] * 2,
        "False aiohttp.connector",
        *["_frozen_importlib_external _frozen_importlib_external"],
    ]
