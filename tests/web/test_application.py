from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from fastapi import Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Scope

from emulator.web.call import CallDep
from emulator.web.vendor import Api, Dialect, Vendor, VendorSettings
from emulator.world.error_catalogue import CatalogueEntry, ErrorCatalogue, ErrorOverride, Mark, VendorError
from emulator.world.operation import Example, Operation

Served = Callable[..., ASGIApp]


def entry(name: str, status: int) -> CatalogueEntry:
    return CatalogueEntry(name, status, name.replace("_", " "), "Sometimes.", Mark.GUESS, "nowhere")


async def render(_request: Request, error: VendorError) -> Response:
    return PlainTextResponse(error.text, error.entry.status)


ERRORS = ErrorCatalogue(
    [
        entry("defect", 500),
        entry("too_large", 413),
        entry("photo_too_large", 400),
        entry("no_path", 404),
        entry("no_method", 405),
        entry("refused", 422),
    ]
)


class Limits(VendorSettings):
    body_bytes: int | None = 10
    photo_bytes: int = 20


def operation(name: str, endpoint: Callable[..., Any], path: str | None = None, **more: Any) -> Operation:
    return Operation(
        name=name,
        methods=("POST", "PUT"),
        paths=(path or f"/acme/{name}",),
        endpoint=endpoint,
        errors=ERRORS,
        example=Example(),
        **more,
    )


async def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def ignore_the_body() -> Response:
    return PlainTextResponse("no", 401)


def vendor(*apis: Api, **dialect: Any) -> Vendor:
    return Vendor(
        package="acme",
        title="Acme",
        hosts=(),
        prefixes=("/acme",),
        credential=("key",),
        apis=apis,
        settings_model=Limits,
        dialect=Dialect(
            render=render,
            schema=lambda _entry: ("text/plain", {}),
            defect=ERRORS["defect"],
            too_large=ERRORS["too_large"].occur(),
            longest_body=lambda settings: settings.body_bytes,
            unknown_path=ERRORS["no_path"],
            wrong_method=ERRORS["no_method"],
            **dialect,
        ),
    )


class Talk:
    """A request whose body arrives in chunks, and the response to it."""

    def __init__(self, path: str, chunks: list[int], declared: int | None = None) -> None:
        self._chunks: Iterator[tuple[int, int]] = iter(enumerate(chunks))
        self._count = len(chunks)
        length = (b"content-length", str(declared).encode())
        self.scope: Scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "query_string": b"",
            "headers": [(b"transfer-encoding", b"chunked")] if declared is None else [length],
        }
        self.read = 0
        self.sent: list[Message] = []
        self.read_when_answered: int | None = None

    async def receive(self) -> Message:
        index, size = next(self._chunks)
        self.read += size
        return {"type": "http.request", "body": bytes(size), "more_body": index + 1 < self._count}

    async def send(self, message: Message) -> None:
        if self.read_when_answered is None:
            self.read_when_answered = self.read
        self.sent.append(message)

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


def talk(app: ASGIApp, path: str, chunks: list[int], declared: int | None = None) -> Talk:
    talk = Talk(path, chunks, declared)

    async def run() -> None:
        await app(talk.scope, talk.receive, talk.send)

    asyncio.run(run())
    assert not talk.sent[-1].get("more_body", False)
    assert [message["type"] for message in talk.sent].count("http.response.start") == 1
    return talk


@pytest.fixture(scope="module")
def limited(served: Served) -> Callable[[int | None], ASGIApp]:
    """Return a function that serves a vendor with a limit on bodies."""
    acme = vendor(Api("All", (operation("echo", echo), operation("ignore", ignore_the_body))))
    return cache(lambda limit: served(acme, Limits(body_bytes=limit)))


@given(chunks=st.lists(st.integers(0, 9), min_size=1, max_size=8), limit=st.integers(0, 40))
def test_a_body_within_the_limit_is_read_whole_and_a_longer_one_is_refused(
    limited: Callable[[int | None], ASGIApp], chunks: list[int], limit: int
) -> None:
    found = talk(limited(limit), "/acme/echo", chunks)
    if sum(chunks) <= limit:
        assert (found.status, found.body) == (200, str(sum(chunks)).encode())
    else:
        assert (found.status, found.body) == (413, b"too large")
    # The body is always read to its end, so that the client can read the response.
    assert found.read == sum(chunks)


def test_a_body_over_the_limit_is_refused_while_it_arrives(limited: Callable[[int | None], ASGIApp]) -> None:
    found = talk(limited(10), "/acme/echo", [4] * 100)
    assert (found.status, found.read_when_answered, found.read) == (413, 12, 400)


def test_a_declared_length_over_the_limit_is_refused_at_once(
    limited: Callable[[int | None], ASGIApp],
) -> None:
    refused = talk(limited(5), "/acme/echo", [3, 3], declared=6)
    assert (refused.status, refused.read_when_answered, refused.read) == (413, 0, 6)
    assert talk(limited(5), "/acme/echo", [5], declared=5).status == 200


def test_without_a_limit_every_body_is_accepted(limited: Callable[[int | None], ASGIApp]) -> None:
    assert talk(limited(None), "/acme/echo", [10, 10]).body == b"20"


def test_an_unread_body_is_not_refused_and_is_drained(
    limited: Callable[[int | None], ASGIApp],
) -> None:
    found = talk(limited(5), "/acme/ignore", [7, 7, 7])
    assert (found.status, found.body, found.read) == (401, b"no", 21)


def test_an_operation_can_have_its_own_limit_and_error_for_large_bodies(served: Served) -> None:
    photo = operation(
        "photo",
        echo,
        longest_body=lambda settings: settings.photo_bytes,
        too_large=ERRORS["photo_too_large"].occur(),
    )
    # One sets only a limit and one only an error; the rest comes from the dialect.
    limit = operation("video", echo, "/acme/video/{name}", longest_body=lambda _settings: None)
    refusal = operation("note", echo, too_large=ERRORS["refused"].occur())
    app = served(vendor(Api("Photos", (photo,)), Api("Others", (limit, refusal, operation("echo", echo)))))
    found = {
        (name, size): (talk(app, f"/acme/{name}", [size]).status, talk(app, f"/acme/{name}", [size]).body)
        for name in ("photo", "video/a", "note", "echo")
        for size in (10, 11, 20, 21)
    }
    large, photo_too_large, refused = (413, b"too large"), (400, b"photo too large"), (422, b"refused")
    ten, eleven, twenty, more = ((200, str(size).encode()) for size in (10, 11, 20, 21))
    assert found == {
        ("photo", 10): ten, ("photo", 11): eleven, ("photo", 20): twenty, ("photo", 21): photo_too_large,
        ("video/a", 10): ten, ("video/a", 11): eleven, ("video/a", 20): twenty, ("video/a", 21): more,
        ("note", 10): ten, ("note", 11): refused, ("note", 20): refused, ("note", 21): refused,
        ("echo", 10): ten, ("echo", 11): large, ("echo", 20): large, ("echo", 21): large,
    }  # fmt: skip
    # The vendor's limit applies to paths that are not served.
    assert talk(app, "/acme/nothing", [5], declared=11).body == b"too large"
    assert talk(app, "/acme/nothing", [5], declared=5).body == b"no path"


def test_two_operations_at_one_path_can_have_different_limits(served: Served) -> None:
    both = (
        replace(operation("read", echo, "/acme/note"), methods=("GET",)),
        replace(
            operation("write", echo, "/acme/note", longest_body=lambda _settings: 3), methods=("PUT", "POST")
        ),
    )
    client = TestClient(served(vendor(Api("Notes", both))))
    found = {
        (method, size): client.request(method, "/acme/note", content=bytes(size)).status_code
        for method in ("GET", "PUT")
        for size in (3, 4, 10, 11)
    }
    assert found == {
        ("GET", 3): 200, ("GET", 4): 200, ("GET", 10): 200, ("GET", 11): 413,
        ("PUT", 3): 200, ("PUT", 4): 413, ("PUT", 10): 413, ("PUT", 11): 413,
    }  # fmt: skip


def test_two_apis_may_have_functions_of_the_same_name(served: Served) -> None:
    def answering(said: str) -> Callable[..., Any]:
        async def create(call: CallDep) -> Response:
            await call.identify("me")
            return PlainTextResponse(f"{said} as {call.operation}")

        return create

    first = Api("First", (operation("create_first", answering("first")),))
    second = Api("Second", (operation("create_second", answering("second")),))
    client = TestClient(served(vendor(first, second)))
    assert client.post("/acme/create_first").text == "first as create_first"
    assert client.put("/acme/create_second").text == "second as create_second"


def test_unknown_paths_and_wrong_methods_get_the_vendors_errors(served: Served) -> None:
    client = TestClient(served(vendor(Api("All", (operation("echo", echo),)))))
    unknown, wrong = client.post("/acme/nothing"), client.get("/acme/echo")
    assert (unknown.status_code, unknown.text) == (404, "no path")
    assert (wrong.status_code, wrong.text) == (405, "no method")
    assert set(wrong.headers["allow"].split(", ")) == {"POST", "PUT"}
    # A vendor has no redirects and no documentation pages.
    for path in ("/acme/echo/", "/acme/docs", "/acme/openapi.json"):
        assert client.post(path).text == "no path"


def test_settings_can_reword_an_error(served: Served) -> None:
    async def refuse() -> Response:
        raise ERRORS["refused"].occur()

    acme = vendor(Api("All", (operation("refuse", refuse),)))
    reworded = Limits(
        errors={"refused": ErrorOverride(status=418, text="no"), "no_path": ErrorOverride(status=410)}
    )
    client = TestClient(served(acme, reworded))
    assert (client.post("/acme/refuse").status_code, client.post("/acme/refuse").text) == (418, "no")
    assert (client.post("/acme/nothing").status_code, client.post("/acme/nothing").text) == (410, "no path")
    usual = TestClient(served(acme)).post("/acme/refuse")
    assert (usual.status_code, usual.text) == (422, "refused")


def test_the_dialect_may_choose_another_error(served: Served) -> None:
    async def refuse() -> Response:
        raise ERRORS["refused"].occur()

    def choose(_request: Request, error: VendorError) -> VendorError:
        return ERRORS["too_large"].occur() if error.entry.name == "refused" else error

    client = TestClient(served(vendor(Api("All", (operation("refuse", refuse),)), choose=choose)))
    assert client.post("/acme/refuse").text == "too large"
    assert client.post("/acme/nothing").text == "no path"


@pytest.mark.parametrize(
    ("method", "path", "usual", "reworded"),
    [
        # Status and `Allow` header, for the usual wording and for the changed one.
        ("POST", "refuse", (422, None), (405, "POST, PUT")),
        ("GET", "refuse", (405, "POST, PUT"), (400, None)),
        ("POST", "dislike", (405, "POST, PUT"), (400, None)),
        # RFC 9110, 15.5.6: an empty list means that no method is allowed.
        ("POST", "nothing", (404, None), (405, "")),
        ("POST", "break", (500, None), (405, "POST, PUT")),
        ("POST", "echo", (413, None), (405, "POST, PUT")),
    ],
)
def test_a_response_has_an_allow_header_if_its_status_is_405(
    served: Served,
    method: str,
    path: str,
    usual: tuple[int, str | None],
    reworded: tuple[int, str | None],
) -> None:
    async def refuse() -> Response:
        raise ERRORS["refused"].occur()

    async def dislike() -> Response:
        raise ERRORS["no_method"].occur()

    async def break_down() -> Response:
        raise RuntimeError

    names = {"refused": 405, "no_path": 405, "defect": 405, "too_large": 405, "no_method": 400}
    other = Limits(errors={name: ErrorOverride(status=status) for name, status in names.items()})
    endpoints: dict[str, Any] = {"refuse": refuse, "dislike": dislike, "break": break_down, "echo": echo}
    acme = vendor(Api("All", tuple(operation(name, endpoint) for name, endpoint in endpoints.items())))
    found = []
    for settings in (None, other):
        body = bytes(11 if path == "echo" else 0)
        answer = TestClient(served(acme, settings)).request(method, f"/acme/{path}", content=body)
        found.append((answer.status_code, answer.headers.get("allow")))
    assert found == [usual, reworded]


def test_allow_lists_the_methods_of_every_route_at_a_path(served: Served) -> None:
    both = (
        replace(operation("read", echo, "/acme/{name}"), methods=("GET", "HEAD")),
        operation("write", echo, "/acme/note"),
    )
    client = TestClient(served(vendor(Api("Notes", both))))
    assert client.delete("/acme/note").headers["allow"] == "GET, HEAD, POST, PUT"
    assert client.delete("/acme/letter").headers["allow"] == "GET, HEAD"


PATHS = (
    "/acme/a",
    "/acme/a/{x}",
    "/acme/{x}",
    "/acme/{x}/b",
    "/acme/a/b-{x}",
    "/acme/{x:path}",
    "/acme/c{x}",
)


@given(
    path=st.lists(st.sampled_from(["a", "b", "b-1", "c2", "d", ""]), max_size=4).map("/".join),
    order=st.permutations(range(len(PATHS))),
    count=st.integers(1, len(PATHS)),
)
def test_the_first_route_that_matches_a_path_answers(
    served: Served, path: str, order: list[int], count: int
) -> None:
    async def answer(request: Request) -> Response:
        return PlainTextResponse(request.scope["route"].path)

    paths = [PATHS[position] for position in order[:count]]
    names = [operation(f"n{number}", answer, each) for number, each in enumerate(paths)]
    app = served(vendor(Api("All", tuple(names))))
    routes = [Route(each, ignore_the_body) for each in paths]
    full = f"/acme/{path}"
    first = next((route.path for route in routes if route.path_regex.match(full)), "no path")
    assert talk(app, full, [0]).body.decode() == first


def test_an_unexpected_error_is_logged_and_answered_with_the_vendors_error(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async def break_down() -> Response:
        raise RuntimeError("an unexpected error")

    client = TestClient(served(vendor(Api("All", (operation("break", break_down),)))))
    with caplog.at_level(logging.ERROR):
        answer = client.post("/acme/break")
    assert (answer.status_code, answer.text) == (500, "defect")
    (logged,) = caplog.records
    assert logged.getMessage() == "POST /acme/break failed unexpectedly"
    assert "an unexpected error" in str(logged.exc_info)
