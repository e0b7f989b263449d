from __future__ import annotations

import os
import socket

import pytest
from redirect_clients import ASYNCHRONOUS, LOOPS, SYNCHRONOUS, run_on
from redirect_peers import NAME, NAMES, Peer

pytestmark = pytest.mark.usefixtures("nothing_is_left")


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("library", SYNCHRONOUS)
def test_proxies_in_the_environment_are_not_used(
    library: str, variable: str, emulator: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv(variable, f"http://127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with SYNCHRONOUS[library](None) as get, emulator.redirected():
            assert [get(f"https://{NAME}/"), get(f"http://{NAME}/")] == ["emulator"] * 2
            with SYNCHRONOUS[library](None) as get_later:
                assert [get_later(f"https://{NAME}/"), get_later(f"http://{NAME}/")] == ["emulator"] * 2


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("library", ASYNCHRONOUS)
def test_asynchronous_clients_do_not_use_proxies_in_the_environment(
    library: str, loop: str, emulator: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> list[str]:
        async with ASYNCHRONOUS[library](None) as get:
            with emulator.redirected():
                texts = [await get(f"https://{NAME}/"), await get(f"http://{NAME}/")]
                async with ASYNCHRONOUS[library](None) as get_later:
                    return [*texts, await get_later(f"https://{NAME}/")]

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        for variable in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{unused.getsockname()[1]}")
        assert run_on(loop, main) == ["emulator"] * 3


def test_the_hosts_without_a_proxy_are_kept(emulator: Peer) -> None:
    names = ",".join(sorted(NAMES))
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("no_proxy", "localhost")
        with emulator.redirected():
            assert os.environ["no_proxy"] == f"localhost,{names}"
            assert os.environ["NO_PROXY"] == names
            with emulator.redirected("zoo.example"):
                assert os.environ["no_proxy"] == f"localhost,{names},zoo.example"
            assert os.environ["no_proxy"] == f"localhost,{names}"
        assert os.environ["no_proxy"] == "localhost"
        assert "NO_PROXY" not in os.environ


def test_a_test_may_change_the_hosts_without_a_proxy(emulator: Peer) -> None:
    with emulator.redirected():
        with pytest.MonkeyPatch.context() as changed:
            changed.setenv("NO_PROXY", "*")
            with emulator.redirected("zoo.example"):
                assert os.environ["NO_PROXY"] == "*"
        assert os.environ["NO_PROXY"] == ",".join(sorted(NAMES))
