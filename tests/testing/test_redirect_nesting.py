from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection

import httpx
import pytest
import requests
from redirect_clients import ASYNCHRONOUS, LOOPS, SYNCHRONOUS, run_on
from redirect_peers import NAME, NAMES, Peer
from redirect_state import state

from face_api_emulator.testing.redirect import redirected

pytestmark = pytest.mark.usefixtures("nothing_is_left")


def test_an_exception_ends_the_redirect(emulator: Peer) -> None:
    before = state()
    redirect = emulator.redirected()
    redirect.__enter__()
    during = state()
    assert not redirect.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert state() == before != during


def test_a_redirect_that_cannot_begin_leaves_nothing(emulator: Peer) -> None:
    before = state()
    with (
        pytest.raises(OSError, match="no such name"),
        redirected(NAMES, plain=("nowhere.invalid", 80), tls=emulator.tls, ca=emulator.ca),
    ):
        pass
    assert state() == before


@pytest.mark.parametrize("library", SYNCHRONOUS)
def test_the_inner_redirect_wins(library: str, emulator: Peer, another: Peer) -> None:
    with SYNCHRONOUS[library](None) as get, emulator.redirected():
        texts = [get(f"https://{NAME}/")]
        with another.redirected(NAME):
            texts += [get(f"https://{NAME}/"), get(f"https://{NAMES[1]}/")]
        assert [*texts, get(f"https://{NAME}/")] == ["emulator", "another", "emulator", "emulator"]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("library", ASYNCHRONOUS)
def test_the_inner_redirect_wins_for_asynchronous_clients(
    library: str, loop: str, emulator: Peer, another: Peer
) -> None:
    async def main() -> list[str]:
        async with ASYNCHRONOUS[library](None) as get:
            with emulator.redirected():
                texts = [await get(f"https://{NAME}/"), await get(f"http://{NAME}/")]
                with another.redirected(NAME):
                    texts += [await get(f"https://{NAME}/"), await get(f"http://{NAME}/")]
                return [*texts, await get(f"https://{NAME}/"), await get(f"http://{NAME}/")]

    assert run_on(loop, main) == [*["emulator"] * 2, *["another"] * 2, *["emulator"] * 2]


def test_redirects_can_end_in_the_order_in_which_they_began(emulator: Peer, another: Peer) -> None:
    before = state()
    first, second = emulator.redirected(), another.redirected()
    with httpx.Client() as client:
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert client.get(f"https://{NAME}/").text == "another"
        second.__exit__(None, None, None)
    assert state() == before


def test_equal_redirects_share_their_connections(emulator: Peer) -> None:
    with emulator.redirected(), contextlib.closing(HTTPSConnection(NAME, timeout=20)) as connection:
        connection.connect()
        sock = connection.sock
        with emulator.redirected():
            pass
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"emulator"
        assert connection.sock is sock


def test_several_threads_redirect_at_once(emulator: Peer) -> None:
    before = state()
    start = threading.Barrier(8)

    def ask(_: int) -> list[str]:
        start.wait()
        texts = []
        for _ in range(5):
            with emulator.redirected(), requests.Session() as session:
                texts.append(session.get(f"https://{NAME}/").text)
        return texts

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == [["emulator"] * 5] * 8
    assert state() == before
