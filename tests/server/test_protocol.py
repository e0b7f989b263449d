"""HTTP: upgrade offers, limits on the request head, and timeouts."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.server.crowd import Crowd
from emulator.server.protocol import HEAD_BYTES, HEAD_FIELDS, Protocol
from emulator.server.relay import Relay
from emulator.settings import Settings
from emulator.web.exchange import ARRIVED, IDLE_SECONDS
from emulator.world.redaction import mask

CLIENTS = Path(__file__).parent.parent / "clients"
FILE = "/s2s/v2.0/file"
BODY = json.dumps({"files": [{"content_type": "image/jpg", "file_name": "a.jpg", "file_size": 5}]}).encode()
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"


@contextmanager
def connected(server: Listening) -> Iterator[socket.socket]:
    """Yield a connection to a server."""
    url = urlsplit(server.base_url)
    with socket.create_connection((str(url.hostname), int(url.port or 80)), timeout=30) as connection:
        yield connection


def response_of(connection: socket.socket) -> tuple[int, bytes]:
    """Read one response with a Content-Length, and return its status and body."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):  # no further, because another response may follow
        byte = connection.recv(1)
        assert byte, head
        head += byte
    headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    body = b""
    while len(body) < (length := int(headers[b"content-length"])):
        body += connection.recv(length - len(body))
    return int(head.split()[1]), body


def rest_of(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    got = b""
    while chunk := connection.recv(65536):
        got += chunk
    return got


def register(*headers: bytes, body: bytes = BODY, framing: bytes | None = None) -> bytes:
    """Return the bytes of a request that registers a file."""
    framing = framing or b"Content-Length: %d\r\n" % len(body)
    lines = [
        b"POST ",
        FILE.encode(),
        b" HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer k\r\n",
        *headers,
        framing,
    ]
    return b"".join([*lines, b"\r\n", body])


def chunked(body: bytes) -> bytes:
    return b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_an_offer_to_upgrade_is_ignored_and_the_body_is_read(
    server: Listening, piece: int, *, is_chunked: bool
) -> None:
    """A second and a third request on the connection are answered too."""
    framing = b"Transfer-Encoding: chunked\r\n" if is_chunked else None
    body = chunked(BODY) if is_chunked else BODY
    offered = register(OFFER, body=body, framing=framing)
    request = offered + register() + offered
    with connected(server) as connection:
        for begin in range(0, len(request), piece):
            connection.sendall(request[begin : begin + piece])
        for _ in range(3):
            status, answer = response_of(connection)
            assert status == 200, answer
            assert json.loads(answer)["data"]["files"][0]["file_name"] == "a.jpg"


@pytest.mark.parametrize(
    "offer",
    [
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        b"Connection: keep-alive, upgrade\r\nUpgrade: TLS/1.0\r\n",
        b"Connection: close, Upgrade\r\nUpgrade: h2c\r\nUpgrade: foo/2\r\n",
        b"Upgrade: h2c\r\n",
    ],
)
def test_every_kind_of_offer_is_ignored(server: Listening, offer: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(register(offer))
        assert response_of(connection)[0] == 200
        if b"close" in offer:
            assert connection.recv(1) == b""


def test_the_journal_has_the_headers_of_an_offer(server: Listening, client: httpx.Client) -> None:
    with connected(server) as connection:
        connection.sendall(register(OFFER, b"X-Marker: offered\r\n"))
        assert response_of(connection)[0] == 200
    calls = client.get("/_emulator/calls", params={"last": 50}).json()["calls"]
    (headers,) = (
        dict(call["request_headers"]) for call in calls if ["x-marker", "offered"] in call["request_headers"]
    )
    assert (headers["upgrade"], headers["connection"]) == ("h2c", "Upgrade, HTTP2-Settings")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 2000), max_size=6))
def test_it_does_not_matter_how_a_request_with_an_offer_arrives(server: Listening, cuts: list[int]) -> None:
    request = register(OFFER) + register(OFFER, body=chunked(BODY), framing=b"Transfer-Encoding: chunked\r\n")
    places = sorted({0, len(request), *(cut % len(request) for cut in cuts)})
    with connected(server) as connection:
        for begin, end in itertools.pairwise(places):
            connection.sendall(request[begin:end])
        assert [response_of(connection)[0] for _ in range(2)] == [200, 200]


@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")
def test_the_default_client_of_java_is_served_by_two_vendors(
    server: Listening, face_jpeg: bytes, tmp_path: Path
) -> None:
    """On plain HTTP, it offers an upgrade with every request."""
    picture = tmp_path / "a.jpg"
    picture.write_bytes(face_jpeg)
    command = [
        "java",
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        str(CLIENTS / "Flow.java"),
        str(picture),
        server.base_url,
        server.base_url,
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - fixed words
    assert ran.stdout.startswith("done "), ran.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_with_http2_is_served(server: Listening) -> None:
    command = ["curl", "-sS", "--http2", server.base_url + FILE, "-H", "Authorization: Bearer k", "-d", "@-"]
    ran = subprocess.run(command, input=BODY, capture_output=True, timeout=60, check=False)  # noqa: S603 - fixed words
    assert json.loads(ran.stdout)["status"] == 200, ran.stderr


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"a" * HEAD_BYTES + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * HEAD_BYTES + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: a\r\n" * HEAD_FIELDS + b"\r\n",
        register(OFFER, b"X: " + b"a" * HEAD_BYTES + b"\r\n"),
        # More than the limit, without an end.
        b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * (4 * HEAD_BYTES),
        b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: a\r\n" * HEAD_BYTES,
    ],
    ids=["line", "header", "count", "offer", "endless header", "endless headers"],
)
def test_a_head_that_is_too_large_is_refused(server: Listening, request_: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(request_)
        connection.shutdown(socket.SHUT_WR)
        assert rest_of(connection).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")


def test_a_head_that_is_too_large_is_refused_behind_another_request(server: Listening) -> None:
    with connected(server) as connection:
        first = b"GET /_emulator/health HTTP/1.1\r\nHost: h\r\n\r\n"
        connection.sendall(first + b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * HEAD_BYTES + b"\r\n\r\n")
        assert response_of(connection)[0] == 200
        assert rest_of(connection).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")


def test_a_head_at_the_limit_is_served(server: Listening) -> None:
    fixed = b"Host: h\r\n" + b"X: a\r\n" * (HEAD_FIELDS - 2)
    long = HEAD_BYTES - len("/_emulator/health") - len(fixed) - len("Y: \r\n")
    with connected(server) as connection:
        connection.sendall(b"GET /_emulator/health HTTP/1.1\r\n" + fixed + b"Y: " + b"a" * long + b"\r\n\r\n")
        assert response_of(connection)[0] == 200


def test_an_endless_head_is_not_kept(server: Listening) -> None:
    """The response arrives, although the client continues to send."""
    with connected(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        sent = 0
        try:
            while sent < 50_000_000:
                sent += connection.send(b"a" * 65536)
        except OSError:
            pass  # the server has closed the connection after a while
        assert connection.recv(12) == b"HTTP/1.1 431"


ABSURD = ["9" * 5000, str(2**64), str(2**63), str(10**17), f"{'0' * 5000}{10**17}"]


@pytest.mark.parametrize("length", ABSURD, ids=["5,000 digits", "2^64", "2^63", "10^17", "zeros"])
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"POST /facepp/v1/3dface", (413, b"<title>413 Request Entity Too Large</title>")),
        (b"POST /facepp/v1/nothing", (413, b"<title>413 Request Entity Too Large</title>")),
        (b"POST /face_recon/run_pipeline", (422, b'{"code":3,"message":"file must be less than 10mb"}')),
        (b"POST /s2s/v2.0/file", (400, b"The request body is above the allowed maximum.")),
        (b"PUT /yce-us/ttl30/x.jpg", (400, b"<Code>EntityTooLarge</Code>")),
        (b"POST /_emulator/faults", (413, b'{"error":"the body has more than 1048576 bytes"}')),
        (b"PUT /_emulator/snapshot", (413, b'{"error":"the body has more than 1099511627776 bytes"}')),
    ],
    ids=["3dface", "nothing", "face_recon", "file", "store", "faults", "snapshot"],
)
@pytest.mark.parametrize("piece", [40, 100_000])
def test_an_absurd_length_gets_the_vendors_own_error_at_once(
    server: Listening, line: bytes, expected: tuple[int, bytes], length: str, piece: int
) -> None:
    request = line + f" HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nX-A: b\r\n\r\nab".encode()
    with connected(server) as connection:
        connection.settimeout(IDLE_SECONDS / 2)  # the rest of the body is not waited for
        for begin in range(0, len(request), piece):
            connection.sendall(request[begin : begin + piece])
        status, body = response_of(connection)
    assert status == expected[0]
    assert expected[1] in body


@pytest.mark.parametrize(
    "length", ["-1", "+5", "1e3", "0x5", "5, 5", "5\r\nContent-Length: 6", "", "9" * 20 + "x"]
)
def test_a_malformed_length_is_refused(server: Listening, length: str) -> None:
    with connected(server) as connection:
        connection.sendall(f"POST {FILE} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n".encode())
        assert rest_of(connection).startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_zeros_before_a_length_are_ignored(server: Listening) -> None:
    with connected(server) as connection:
        framing = b"Content-Length: %0*d\r\n" % (5000, len(BODY))
        connection.sendall(register(framing=framing) + register())
        assert [response_of(connection)[0] for _ in range(2)] == [200, 200]


def test_the_journal_shows_an_absurd_length_as_it_was_sent(server: Listening) -> None:
    length = "8" * 21
    with connected(server) as connection:
        connection.sendall(f"POST {FILE} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n".encode())
        assert response_of(connection)[0] == 400
    answer = httpx.get(f"{server.base_url}/_emulator/calls", params={"vendor": "perfectcorp", "limit": 1000})
    calls = [call for call in answer.json()["calls"] if ["content-length", length] in call["request_headers"]]
    assert len(calls) == 1


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, workers: WorkerPool) -> Iterator[Listening]:
    """A server with short time limits."""
    monkeypatch.setattr("emulator.server.protocol.LINGER_SECONDS", 0.2)
    with running_server(Settings(body_seconds=0.2, head_seconds=0.2), workers=workers) as server:
        yield server


@pytest.mark.parametrize("begin", [b"", b"GET /_emulator/health HTTP/1.1\r\nHost: h\r\n\r\n"])
def test_a_head_that_does_not_end_is_refused(impatient: Listening, begin: bytes) -> None:
    """This includes the second head of a connection."""
    with connected(impatient) as connection:
        if begin:
            connection.sendall(begin)
            assert response_of(connection)[0] == 200
        connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert rest_of(connection).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_a_connection_that_sends_nothing_is_closed(impatient: Listening) -> None:
    with connected(impatient) as connection:
        assert rest_of(connection) == b""


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        (FILE, b"application/json"),
        ("/facepp/v1/3dface", b"multipart/form-data; boundary=b"),
        ("/face_recon/run_pipeline", b"multipart/form-data; boundary=b"),
        ("/_emulator/faults", b"application/json"),
    ],
)
def test_a_body_that_pauses_is_refused(impatient: Listening, path: str, content_type: bytes) -> None:
    with connected(impatient) as connection:
        connection.sendall(
            b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer k\r\n"
            b"Content-Type: %b\r\nContent-Length: 1000\r\n\r\n%b"
            % (path.encode(), content_type, b"--b\r\n" if b"multipart" in content_type else b"{")
        )
        assert rest_of(connection).startswith(b"HTTP/1.1 408 ")


def test_a_slow_body_without_a_pause_is_read(impatient: Listening) -> None:
    request = register()
    with connected(impatient) as connection:
        for byte in range(len(request)):
            connection.sendall(request[byte : byte + 1])
        assert response_of(connection)[0] == 200


def calls_marked(client: httpx.Client, marker: str) -> list[dict[str, object]]:
    """Return the recorded calls whose path has a marker, newest last."""
    calls: list[dict[str, object]] = client.get("/_emulator/calls", params={"last": 50}).json()["calls"]
    return [call for call in calls if marker in str(call["path"])]


SLOW = b"POST /facepp/v1/3dface HTTP/1.1\r\nHost: h\r\nX-Emulator-Fault: slow\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("second", "status"),
    [
        (b"\0 is no method\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * HEAD_BYTES + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * (HEAD_FIELDS + 1) + b"\r\n", 431),
        (b"CONNECT h:443 HTTP/1.1\r\n" + b"X: a\r\n" * (HEAD_FIELDS + 1) + b"\r\n", 431),
    ],
    ids=["malformed", "long", "many headers", "tunnel"],
)
def test_a_refusal_comes_after_the_response_of_an_earlier_request(
    server: Listening, second: bytes, status: int
) -> None:
    with connected(server) as connection:
        connection.sendall(SLOW + second)
        assert response_of(connection)[1] == b'{"error_message":"MISSING_ARGUMENTS: api_key"}'
        assert response_of(connection)[0] == status
        assert connection.recv(1) == b""


@pytest.mark.parametrize("shown", ["path", "vendor"])
def test_a_request_that_the_server_refuses_is_in_the_journal(
    server: Listening, client: httpx.Client, shown: str
) -> None:
    path = "/facepp/refused-vendor" if shown == "vendor" else "/refused-path"
    with connected(server) as connection:
        connection.sendall(f"GET {path}?api_key=k HTTP/1.1\r\nHost: h\r\nX: ".encode() + b"a" * HEAD_BYTES)
        assert response_of(connection)[0] == 431
    (call,) = calls_marked(client, path)
    assert (call["method"], call["status"], call["query"]) == ("GET", 431, [["api_key", mask("k")]])
    assert call["vendor"] == ("faceplusplus" if shown == "vendor" else "server")
    assert call["warnings"] == [
        {"code": "request-refused", "detail": "the head of the request has more than 64 KiB or 100 headers"}
    ]


def test_a_head_that_is_too_slow_is_in_the_journal(impatient: Listening) -> None:
    with connected(impatient) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: ")
        assert response_of(connection)[0] == 408
    with httpx.Client(base_url=impatient.base_url, trust_env=False) as client:
        (call,) = client.get("/_emulator/calls").json()["calls"]
    assert (call["path"], call["status"], call["vendor"]) == ("/slow", 408, "server")
    assert [warning["code"] for warning in call["warnings"]] == ["request-refused"]


def test_tls_on_the_plain_port_is_refused_with_advice(server: Listening, client: httpx.Client) -> None:
    with connected(server) as connection:
        connection.sendall(bytes.fromhex("160301020001000001fc0303"))
        status, body = response_of(connection)
    assert status == 400
    assert body.startswith(b"this port serves plain HTTP")
    assert "UNKNOWN" in [call["method"] for call in client.get("/_emulator/calls?last=9").json()["calls"]]


def test_a_refused_request_to_the_control_api_is_not_in_the_journal(
    server: Listening, client: httpx.Client
) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET /_emulator/refused-control HTTP/1.1\r\nHost: h\r\nX: " + b"a" * HEAD_BYTES)
        assert response_of(connection)[0] == 431
    assert calls_marked(client, "refused-control") == []


@pytest.mark.parametrize("url", [b"http://::1:80/", b"http://", b"http://[/"])
def test_a_malformed_url_is_refused(server: Listening, url: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % url)
        assert response_of(connection)[0] == 400


def test_a_url_without_a_path_has_the_path_of_a_slash(server: Listening) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET http://api-us.faceplusplus.com?a=b HTTP/1.1\r\nHost: h\r\n\r\n")
        assert response_of(connection) == (404, b'{"error_message":"API_NOT_FOUND"}')


@pytest.mark.parametrize("framing", ["Content-Length: 4", "Transfer-Encoding: chunked"])
def test_the_application_learns_when_the_whole_body_has_arrived(framing: str) -> None:
    """The body arrives in two parts, and the second part together with another request."""
    begin, end = (b"on", b"ce") if "Length" in framing else (b"2\r\non\r\n", b"2\r\nce\r\n0\r\n\r\n")
    head = f"POST / HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n".encode()
    arrived: list[tuple[bytes, bool]] = []

    async def talk() -> bytes:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            whole = b""
            while len(whole) < 4:
                whole += (await receive())["body"]
                arrived.append((whole, ARRIVED in scope["extensions"]))
                if len(arrived) == 1:
                    writer.write(end + head + begin + end)
            await PlainTextResponse(whole)(scope, receive, send)

        config = uvicorn.Config(cast("Any", app), http=_Plain, ws="none", log_config=None)
        config.load()
        make = partial(_Plain, config=config, server_state=ServerState(), app_state={})
        async with await asyncio.get_running_loop().create_server(make, "127.0.0.1") as serving:
            reader, writer = await asyncio.open_connection(*serving.sockets[0].getsockname())
            writer.write(head + begin)
            answers = await reader.readuntil(b"once") + await reader.readuntil(b"once")
            writer.close()
            await writer.wait_closed()
        return answers

    assert asyncio.run(talk()).count(b" 200 OK\r\n") == 2
    assert arrived == [(b"on", False), (b"once", True), (b"once", True)]


class _Plain(Protocol):
    """The protocol without a relay and with a limit that no test reaches."""

    relay = Relay((), None, is_open=False)
    crowd = Crowd(10)
    head_seconds = 30.0


def test_a_malformed_body_is_refused(server: Listening) -> None:
    with connected(server) as connection:
        connection.sendall(register(body=b"zz\r\n", framing=b"Transfer-Encoding: chunked\r\n"))
        assert response_of(connection) == (400, b"the body of the request is malformed\n")
        assert connection.recv(1) == b""


def test_a_refusal_arrives_although_the_client_continues_to_send(server: Listening) -> None:
    with connected(server) as connection:
        connection.sendall(b"\0" * 10)
        for _ in range(100):
            connection.sendall(b"a" * 65536)
        assert response_of(connection)[0] == 400
