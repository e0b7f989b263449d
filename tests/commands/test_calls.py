from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import httpx

from face_api_emulator.client import Client


def test_calls_are_listed_exported_and_forgotten(
    tell_mine: Callable[..., str], me: Client, client: httpx.Client, tmp_path: Path
) -> None:
    headers = {"Authorization": f"Bearer {me.credential}"}
    client.get("/s2s/v1.0/client/credit", headers=headers)
    with me.fault("TooManyRequests"):
        client.get("/s2s/v1.0/client/credit", headers=headers)
    lines = tell_mine("calls", "list").splitlines()
    first, second = (line for line in lines if "GET" in line)
    assert " 200 " in first
    assert " 429 " in second
    assert second.endswith("GET /s2s/v1.0/client/credit  [rule " + second.rpartition(" ")[2])
    assert tell_mine("calls", "list", "--status", "4xx") == second.strip()
    tell_mine("calls", "har", str(tmp_path / "calls.har"))
    archive = json.loads((tmp_path / "calls.har").read_text())
    assert [entry["response"]["status"] for entry in archive["log"]["entries"]] == [200, 429]
    assert me.verify(count=2, operation="credit").ok
    missing = me.verify(count=3, operation="credit", status="200")
    assert (missing.ok, missing.count) == (False, 1)
    assert missing.near_misses[0].failures[0].condition == "status"
    tell_mine("calls", "forget")
    assert me.calls() == []


def test_a_call_to_the_proxy_is_listed_with_its_host(tell: Callable[..., str], client: httpx.Client) -> None:
    url = client.base_url
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        connection.sendall(b"CONNECT listed.example:443 HTTP/1.1\r\nHost: other.example\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 403"
    with httpx.Client(proxy=str(url), trust_env=False) as proxied:
        proxied.get("http://listed.example/a?b=c")
    lines = tell("calls", "list", "--vendor", "proxy", "--last", "2").splitlines()
    assert [line.rpartition("ms  ")[2] for line in lines if "ms  " in line] == [
        "CONNECT listed.example:443",
        "GET http://listed.example/a",
    ]
