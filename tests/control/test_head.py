from __future__ import annotations

import shutil
import subprocess

import httpx
import pytest

from emulator.server import Listening
from face_api_emulator.client import Client


@pytest.fixture(autouse=True)
def ready(server: Listening) -> None:
    """Wait until the emulator is ready, because `ready` is one of the paths."""
    with Client(server.base_url) as client:
        client.wait_until_ready()


@pytest.mark.parametrize("path", ["health", "ready", "openapi.json", "openapi/perfectcorp.json", "clock"])
def test_head_is_answered_as_get_without_the_body(client: httpx.Client, path: str) -> None:
    got, head = client.get(f"/_emulator/{path}"), client.head(f"/_emulator/{path}")
    assert (head.status_code, got.status_code, head.content) == (200, 200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    # The clock may add a digit between the two.
    assert abs(int(head.headers["content-length"]) - len(got.content)) <= (2 if path == "clock" else 0)


def test_a_stream_ends_after_its_head(client: httpx.Client) -> None:
    head = client.head("/_emulator/calls/stream")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")
    assert client.get("/_emulator/health").status_code == 200


def test_allow_names_head_beside_get(client: httpx.Client) -> None:
    answer = client.delete("/_emulator/health")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert "HEAD" not in client.get("/_emulator/scenarios/run").headers.get("allow", "")


@pytest.mark.skipif(shutil.which("wget") is None, reason="needs wget")
def test_the_spider_of_wget_works(server: Listening) -> None:
    command = ["wget", "--spider", "-q", f"{server.base_url}/_emulator/ready"]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0  # noqa: S603 - fixed words
