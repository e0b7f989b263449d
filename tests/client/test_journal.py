from __future__ import annotations

import httpx
import pytest

from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.settings import Settings
from face_api_emulator.client import Client

COUNT = 1010
"""More than the largest page."""


def test_all_calls_are_listed_and_exported(workers: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"Authorization": "Bearer sk-many"}
    with (
        running_server(Settings(journal_calls=2000), workers=workers) as server,
        httpx.Client(base_url=server.base_url, headers=headers) as caller,
        Client(server.base_url, "sk-many") as client,
    ):
        for _ in range(COUNT):
            caller.get("/s2s/v1.0/client/credit")
        numbers = [call.number for call in client.calls()]
        assert numbers == list(range(1, COUNT + 1))
        assert len(client.har()["log"]["entries"]) == COUNT
        assert [call.number for call in client.calls(limit=2)] == [1, 2]
        assert [call.number for call in client.calls(last=2)] == [COUNT - 1, COUNT]
        assert len(client.calls(after=5)) == COUNT - 5
        monkeypatch.setattr("emulator.control.journal.PAGE_BYTES", 100_000)
        assert [call.number for call in client.calls()] == numbers
        assert [call.number for call in client.calls(limit=500)] == numbers[:500]


def test_a_verification_without_a_number_expects_a_call(server: Listening) -> None:
    with Client(server.base_url, "sk-no-calls") as client:
        assert client.verify().message.startswith("expected at least 1 call, but 0 matched")
        assert client.verify(at_least=0).ok
        assert client.verify(at_most=0).ok
        assert client.verify(count=0).ok
        assert not client.verify(at_least=1, at_most=2).ok


@pytest.mark.parametrize("bounds", [{"at_least": 0}, {"at_most": 5}, {"at_least": 1, "at_most": 5}])
def test_an_exact_number_and_a_range_are_refused_together(bounds: dict[str, int]) -> None:
    with (
        Client("http://127.0.0.1:9") as client,
        pytest.raises(ValueError, match="`count` is an exact number"),
    ):
        client.verify(count=2, **bounds)
