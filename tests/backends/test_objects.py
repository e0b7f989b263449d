"""Blobs in an object store: what is stored, what requests cost, and a store that fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from object_stores import ACCESS, BUCKET, S3Server
from obstore.store import ObjectStore

from emulator.backends.blobs import BlobKey, Blobs, objects
from emulator.backends.blobs.object_store import StoreAddress, connect
from emulator.backends.blobs.objects import ObjectBlobs
from emulator.backends.drivers import DriverMissing
from emulator.backends.unavailable import StoreUnavailable

CALLS: dict[str, Callable[[Blobs], Awaitable[Any]]] = {
    "put": lambda blobs: blobs.put("new", b"1", "me"),
    "get": lambda blobs: blobs.get("a"),
    "credential_of": lambda blobs: blobs.credential_of("a"),
    "exists": lambda blobs: blobs.exists("a"),
    "delete": lambda blobs: blobs.delete("a"),
    "keys": lambda blobs: blobs.keys(),
    "keys of a credential": lambda blobs: blobs.keys("me"),
    "forget": lambda blobs: blobs.forget("me"),
    "forget all": lambda blobs: blobs.forget(None),
    "check": lambda blobs: blobs.check(),
}


class Watched:
    """A store that counts its requests."""

    def __init__(self, store: ObjectStore, requests: Counter[str]) -> None:
        self._store = store
        self._requests = requests

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._store, name)

        def call(path: str | Sequence[str], *rest: Any, **options: Any) -> Any:
            first = path if isinstance(path, str) else path[0]
            is_part = "range" in options.get("options", ())
            self._requests[f"{name} {first.partition('/')[0]}{' part' if is_part else ''}"] += 1
            return method(path, *rest, **options)

        return call


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The number of requests of each kind, for blobs that are opened after this."""
    counted: Counter[str] = Counter()
    monkeypatch.setattr(objects, "connect", lambda address: Watched(connect(address), counted))
    return counted


async def opened(url: str) -> ObjectBlobs:
    blobs = ObjectBlobs(StoreAddress.parse(url))
    await blobs.open()
    return blobs


async def stored(url: str) -> dict[str, bytes]:
    """Return all objects of a store by their path."""
    store = connect(StoreAddress.parse(url))
    found = await store.list().collect_async()
    return {each["path"]: bytes(await (await store.get_async(each["path"])).bytes_async()) for each in found}


async def path_of(url: str, key: str) -> str:
    """Return the path of the only blob of a store that contains the text of ``key``."""
    (path,) = [
        path
        for path, content in (await stored(url)).items()
        if path.startswith("blobs/") and f'"{key}"'.encode() in content
    ]
    return path


async def write(url: str, path: str, content: bytes) -> None:
    await connect(StoreAddress.parse(url)).put_async(path, content)


def test_every_method_needs_few_requests(s3: str, requests: Counter[str]) -> None:
    async def cost(work: Awaitable[Any]) -> dict[str, int]:
        requests.clear()
        await work
        return dict(requests)

    async def scenario() -> None:
        blobs = await opened(s3)
        assert await cost(blobs.put("a", bytes(5000), "me")) == {
            "put_async index": 1,
            "put_async blobs": 1,
        }
        assert await cost(blobs.get("a")) == {"get_async blobs": 1}
        assert await cost(blobs.get("none")) == {"get_async blobs": 1}
        assert await cost(blobs.exists("a")) == {"get_async blobs part": 1}
        assert await cost(blobs.credential_of("none")) == {"get_async blobs part": 1}
        for number in range(20):
            await blobs.put(f"of you {number}", bytes(5000), "you")
        assert await cost(blobs.keys("me")) == {"list index": 1, "get_async blobs part": 1}
        assert await cost(blobs.delete("a")) == {
            "get_async blobs part": 1,
            "delete_async blobs": 1,
            "delete_async index": 1,
        }
        assert await cost(blobs.forget("you")) == {
            "list index": 1,
            "get_async blobs part": 20,
            "delete_async blobs": 1,
            "delete_async index": 1,
        }
        assert await stored(s3) == {}

    asyncio.run(scenario())


def test_names_of_objects_contain_neither_keys_nor_credentials(s3: str) -> None:
    async def scenario() -> None:
        await (await opened(s3)).put("some-key", b"1", "some-credential")
        paths = await stored(s3)
        assert len(paths) == 2
        assert "some" not in "".join(paths)

    asyncio.run(scenario())


def test_processes_share_a_store(s3: str) -> None:
    async def scenario() -> None:
        one, other = await opened(s3), await opened(s3)
        await one.put("a", b"1", "me")
        assert await other.get("a") == b"1"
        await other.forget("me")
        assert not await one.exists("a")

    asyncio.run(scenario())


def test_nothing_is_left_after_all_blobs_were_forgotten(s3: str) -> None:
    async def scenario() -> None:
        blobs = await opened(s3)
        await asyncio.gather(*(blobs.put(f"{n}", b"1", f"of {n % 3}") for n in range(30)))
        await blobs.put("1", b"2", "of another")
        await write(s3, await path_of(s3, "2"), b"damaged")
        await blobs.forget(None)
        assert await stored(s3) == {}

    asyncio.run(scenario())


@pytest.mark.parametrize("store", ["s3", "folder"])
@pytest.mark.parametrize(
    "content", [b"", b"no json\nrest", b"[]\n", b'{"key": "b", "credential": "me"}\n1', b"x" * 5000]
)
def test_a_damaged_blob_counts_as_missing(
    request: pytest.FixtureRequest, tmp_path: Path, store: str, content: bytes
) -> None:
    url: str = request.getfixturevalue("s3") if store == "s3" else tmp_path.as_uri()

    async def scenario() -> None:
        blobs = await opened(url)
        await blobs.put("a", b"1", "me")
        await write(url, await path_of(url, "a"), content)
        assert await blobs.get("a") is None
        assert await blobs.credential_of("a") is None
        assert await blobs.keys() == await blobs.keys("me") == []
        assert not await blobs.delete("a")
        await blobs.put("a", b"2", "me")
        assert await blobs.get("a") == b"2"

    asyncio.run(scenario())


def test_objects_of_other_programs_are_left_alone(s3: str) -> None:
    async def scenario() -> None:
        blobs = await opened(s3)
        await write(s3, "blobs/notes.txt", b"mine")
        await write(s3, "else/where", b"mine")
        await blobs.put("a", b"1", "me")
        assert await blobs.keys() == [BlobKey("a", "me")]
        await blobs.forget(None)
        assert (await stored(s3)).keys() == {"blobs/notes.txt", "else/where"}

    asyncio.run(scenario())


def test_an_index_entry_waits_for_its_blob(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        blobs = await opened(s3)
        await blobs.put("a", b"1", "me")
        await connect(StoreAddress.parse(s3)).delete_async(await path_of(s3, "a"))
        assert await blobs.keys("me") == []
        # Another process may be about to write the blob.
        await blobs.forget("me")
        await blobs.forget(None)
        assert len(await stored(s3)) == 1
        monkeypatch.setattr(objects, "LONGEST_WRITE_SECONDS", -10)
        await blobs.forget("me")
        assert await stored(s3) == {}

    asyncio.run(scenario())


def test_no_blob_is_without_its_index_entry(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This holds even if the process dies at any request."""

    class Failing(Watched):
        left = 10_000

        def __getattr__(self, name: str) -> Callable[..., Any]:
            method: Callable[..., Any] = getattr(self._store, name)

            async def call(*arguments: Any, **options: Any) -> Any:
                Failing.left -= 1
                if Failing.left < 0:
                    raise OSError("the process died")
                return await method(*arguments, **options)

            return method if name == "list" else call

    monkeypatch.setattr(objects, "connect", lambda address: Failing(connect(address), Counter()))

    async def scenario() -> None:
        blobs = await opened(s3)
        for name in ("put", "delete", "forget"):
            for requests in range(3):
                Failing.left = requests
                with contextlib.suppress(StoreUnavailable):
                    await CALLS[name](blobs)
                Failing.left = 10_000
                assert await blobs.keys("me") == await blobs.keys()
                await blobs.put("a", b"1", "me")

    asyncio.run(scenario())


def test_forget_leaves_a_blob_that_belongs_to_another_credential_now(s3: str) -> None:
    async def scenario() -> None:
        blobs = await opened(s3)
        await blobs.put("a", b"1", "me")
        await blobs.put("a", b"2", "you")
        await blobs.forget("me")
        assert await blobs.keys("you") == [BlobKey("a", "you")]
        assert await blobs.get("a") == b"2"

    asyncio.run(scenario())


def test_opening_deletes_old_unfinished_files_of_a_folder(tmp_path: Path) -> None:
    blobs = asyncio.run(opened(tmp_path.as_uri()))
    asyncio.run(blobs.put("a", b"1", "me"))
    (path,) = (tmp_path / "blobs").iterdir()
    old, new = path.with_name(f"{path.name}#1"), path.with_name(f"{path.name}#2")
    for each in (old, new):
        each.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    assert asyncio.run(blobs.keys()) == [BlobKey("a", "me")]
    asyncio.run(blobs.open())
    assert not old.exists()
    assert new.exists()
    assert asyncio.run(blobs.get("a")) == b"1"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes of this kind")
def test_a_new_folder_can_only_be_read_by_its_owner(tmp_path: Path) -> None:
    asyncio.run(opened((tmp_path / "new").as_uri()))
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


@pytest.fixture(scope="module")
def other_s3() -> Iterator[S3Server]:
    """An S3 that tests may stop."""
    server = S3Server()
    yield server
    with contextlib.suppress(Exception):
        server.stop()


def use(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ACCESS, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)


async def failure_of(call: Awaitable[Any]) -> str:
    with pytest.raises(StoreUnavailable) as caught:
        await call
    return str(caught.value)


def test_an_unavailable_store_fails_soon_and_works_again(
    other_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(other_s3.endpoint, monkeypatch)
    url = f"s3://{BUCKET}/away"

    async def scenario() -> None:
        blobs = await opened(url)
        await blobs.put("a", b"1", "me")
        await asyncio.to_thread(other_s3.stop)
        begun = time.monotonic()
        failures = await asyncio.gather(*(failure_of(call(blobs)) for call in CALLS.values()))
        assert time.monotonic() - begun < 4
        (failure,) = set(failures)
        assert failure.startswith(f"the object store {url} cannot be used now: HTTP error: ")
        assert failure.endswith("(Connection refused)")
        assert await failure_of(opened(url)) == failure
        await asyncio.to_thread(other_s3.start)
        assert await blobs.get("a") == b"1"
        for call in CALLS.values():
            await call(blobs)

    asyncio.run(scenario())


def test_a_store_that_does_not_answer_fails_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "ANSWER_SECONDS", 0.2)

    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            use(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
            begun = time.monotonic()
            failure = await failure_of(opened("s3://silent"))
            assert time.monotonic() - begun < 2
        assert failure.endswith("s3://silent cannot be used now: it did not answer within 0.2 s")

    asyncio.run(scenario())


@contextlib.contextmanager
def answering(answers: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Serve an answer to each request, and return the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            answers(self)

        def do_POST(self) -> None:
            self.do_PUT()

        def log_message(self, *_: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=web.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{web.server_address[1]}"
    finally:
        web.shutdown()
        thread.join()
        web.server_close()


def answer(handler: BaseHTTPRequestHandler, status: int, body: str) -> None:
    handler.send_response(status)
    handler.send_header("ETag", '"1"')
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body.encode())


def test_a_lost_connection_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def lose_the_first(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.command)
        if len(seen) == 1:
            reset = struct.pack("ii", 1, 0)  # closing then sends no end, but a reset
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            handler.close_connection = True
            return
        deleted = "<DeleteResult><Deleted><Key>a</Key></Deleted></DeleteResult>"
        answer(handler, 200, deleted if handler.command == "POST" else "")

    with answering(lose_the_first) as endpoint:
        use(endpoint, monkeypatch)
        asyncio.run(opened("s3://lost"))
    assert seen == ["PUT", "PUT", "POST"]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (403, "<Error><Code>AccessDenied</Code><Message>Access\nDenied.</Message></Error>", "Access Denied"),
        (503, "", "Server returned non-2xx status code: 503 Service Unavailable:"),
    ],
)
def test_a_store_that_refuses_says_why(
    monkeypatch: pytest.MonkeyPatch, status: int, body: str, reason: str
) -> None:
    with answering(lambda handler: answer(handler, status, body)) as endpoint:
        use(endpoint, monkeypatch)
        failure = asyncio.run(failure_of(opened("s3://refused/x/")))
    assert failure == f"the object store s3://refused/x cannot be used now: {reason}"


def test_a_missing_bucket_is_not_an_empty_store(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    use(s3_server.endpoint, monkeypatch)
    failure = asyncio.run(failure_of(opened("s3://missing")))
    assert failure.endswith("s3://missing cannot be used now: The specified bucket does not exist")


def test_a_missing_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(DriverMissing) as caught:
        ObjectBlobs(StoreAddress.parse("s3://bucket"))
    assert str(caught.value) == (
        "FACE_EMULATOR_BLOBS_URL needs the package obstore, which is not installed; run "
        '`pip install "face-api-emulator[scale]"`'
    )
