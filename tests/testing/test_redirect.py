from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import requests
from redirect_clients import ASYNCHRONOUS, LOOPS, SYNCHRONOUS, Trust, run_on
from redirect_peers import NAME, NAMES, Peer

pytestmark = pytest.mark.usefixtures("nothing_is_left")


TRUSTS: dict[str, Callable[[Peer], Trust]] = {
    "file": lambda vendor: vendor.ca_file,
    "context": lambda vendor: vendor.context(),
    "default": lambda _: None,
}


@pytest.mark.parametrize("trust", TRUSTS)
@pytest.mark.parametrize("library", SYNCHRONOUS)
def test_a_client_made_earlier_reaches_the_emulator_and_then_the_vendor_again(
    library: str, trust: str, vendor: Peer, emulator: Peer
) -> None:
    """It asks the same URL, so it would use its pooled connections if they were still open."""
    is_known = trust != "default"
    with SYNCHRONOUS[library](TRUSTS[trust](vendor)) as get:
        if is_known:
            assert get(vendor.url) == "vendor"
        with emulator.redirected():
            assert [get(vendor.url), get(f"https://{NAME}/"), get(f"http://{NAME}/")] == ["emulator"] * 3
            with SYNCHRONOUS[library](TRUSTS[trust](vendor)) as get_later:
                assert get_later(vendor.url) == "emulator"
        if is_known:
            assert get(vendor.url) == "vendor"
        else:
            with pytest.raises(Exception, match=r"(?i)certificate"):
                get(vendor.url)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("trust", TRUSTS)
@pytest.mark.parametrize("library", ASYNCHRONOUS)
def test_an_asynchronous_client_made_earlier_reaches_the_emulator_and_then_the_vendor_again(
    library: str, trust: str, loop: str, vendor: Peer, emulator: Peer
) -> None:
    """The redirect begins and ends while the loop does not run, as in a fixture."""
    is_known = trust != "default"
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        clients = contextlib.AsyncExitStack()

        async def connect() -> Any:
            return await clients.enter_async_context(ASYNCHRONOUS[library](TRUSTS[trust](vendor)))

        async def ask(get: Any, *urls: str) -> list[str]:
            return [await get(url) for url in urls]

        get = runner.run(connect())
        if is_known:
            assert runner.run(ask(get, vendor.url)) == ["vendor"]
        with emulator.redirected():
            urls = (vendor.url, f"https://{NAME}/", f"http://{NAME}/")
            assert runner.run(ask(get, *urls)) == ["emulator"] * 3
            assert runner.run(ask(runner.run(connect()), vendor.url)) == ["emulator"]
        if is_known:
            assert runner.run(ask(get, vendor.url)) == ["vendor"]
        else:
            with pytest.raises(Exception, match=r"(?i)certificate"):
                runner.run(ask(get, vendor.url))
        runner.run(clients.aclose())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("library", ASYNCHRONOUS)
def test_a_redirect_begins_and_ends_in_a_coroutine(
    library: str, loop: str, vendor: Peer, emulator: Peer
) -> None:
    """The next request follows at once, before the loop notices that connections have ended."""

    async def main() -> list[str]:
        async with ASYNCHRONOUS[library](vendor.context()) as get:
            texts = [await get(vendor.url)]
            with emulator.redirected():
                texts += [await get(vendor.url), await get(vendor.url)]
            return [*texts, await get(vendor.url)]

    assert run_on(loop, main) == ["vendor", "emulator", "emulator", "vendor"]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("library", ASYNCHRONOUS)
def test_a_redirect_begins_and_ends_in_another_thread(
    library: str, loop: str, vendor: Peer, emulator: Peer
) -> None:
    """The loop runs, so it must be asked to close the connections."""

    async def main() -> list[str]:
        async with ASYNCHRONOUS[library](vendor.context()) as get:
            texts = [await get(vendor.url)]
            redirect = emulator.redirected()
            await asyncio.to_thread(redirect.__enter__)
            texts += [await get(vendor.url), await get(vendor.url)]
            await asyncio.to_thread(redirect.__exit__, None, None, None)
            return [*texts, await get(vendor.url)]

    assert run_on(loop, main) == ["vendor", "emulator", "emulator", "vendor"]


def test_other_names_are_not_redirected(vendor: Peer, emulator: Peer) -> None:
    with emulator.redirected(NAMES[1]):
        assert httpx.get(vendor.url, verify=vendor.context()).text == "vendor"


@pytest.mark.parametrize("name", [NAME.upper(), f"{NAME}."])
def test_names_have_several_spellings(name: str, emulator: Peer) -> None:
    with emulator.redirected(), requests.Session() as session:
        assert session.get(f"https://{name}/").text == "emulator"
    with emulator.redirected(name), requests.Session() as session:
        assert session.get(f"https://{NAME}/").text == "emulator"
