from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from emulator.webhooks.sender import Answer, HttpSender, SendFailed


def post(url: str, timeout_s: float = 10.0) -> tuple[Answer, list[str]]:
    events: list[str] = []

    async def run() -> Answer:
        sender = HttpSender()
        try:
            return await sender.post(
                url,
                {"Content-Type": "application/json", "webhook-id": "msg_1"},
                b'{"a":1}',
                timeout_s=timeout_s,
                on_sent=lambda: events.append("sent"),
            )
        finally:
            await sender.close()

    return asyncio.run(run()), events


def test_headers_and_body_arrive_unchanged(receiver: Any) -> None:
    assert post(receiver.url) == (Answer(200), ["sent"])
    (received,) = receiver.wait(1)
    assert received.body == b'{"a":1}'
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == "msg_1"


def test_a_redirect_is_not_followed(receiver: Any) -> None:
    receiver.answers.append((307, {"Location": receiver.url, "Retry-After": "3"}))
    assert post(receiver.url)[0] == Answer(307, "3")
    assert len(receiver.received) == 1


def test_an_endpoint_that_does_not_answer_times_out(receiver: Any) -> None:
    receiver.may_answer.clear()
    with pytest.raises(SendFailed, match=r"no response within 0\.1 s"):
        post(receiver.url, timeout_s=0.1)


def test_a_refused_connection_raises_send_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(SendFailed, match="ConnectError"):
        post(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("url", ["http://", "http://a:99999/", "nonsense"])
def test_an_invalid_url_raises_send_failed(url: str) -> None:
    with pytest.raises(SendFailed):
        post(url)
