"""Calling endpoints with their dependencies."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from vendor_data import VENDORS

from emulator.web.dependencies import in_order

CALLED: list[str] = []


async def first(request: Request) -> str:
    CALLED.append("first")
    return f"first {request.url.path}"


async def second(before: Annotated[str, Depends(first)]) -> str:
    CALLED.append("second")
    return f"second {before}"


async def endpoint(
    name: str,
    request: Request,
    later: Annotated[str, Depends(second)],
    again: Annotated[str, Depends(first)],
) -> JSONResponse:
    CALLED.append("endpoint")
    return JSONResponse([name, request.method, later, again])


async def stopping() -> None:
    raise LookupError


async def stopped(
    _stop: Annotated[None, Depends(stopping)], _first: Annotated[str, Depends(first)]
) -> Response:
    CALLED.append("stopped")
    return Response()


async def with_query(_number: Annotated[int, Query()] = 3) -> Response:
    return Response()


async def of_query(_number: Annotated[Response, Depends(with_query)]) -> Response:
    return Response()


async def with_number(name: int) -> Response:
    return Response(str(name))


async def without_cache(_first: Annotated[str, Depends(first, use_cache=False)]) -> Response:
    return Response()


def in_a_thread() -> Response:
    return Response()


async def of_thread(_nothing: Annotated[Response, Depends(in_a_thread)]) -> Response:
    return Response()


async def without_response(_first: Annotated[str, Depends(first)]) -> dict[str, str]:
    return {}


def route(function: Any, path: str = "/{name}") -> APIRoute:
    app = FastAPI()
    app.add_api_route(path, function, response_model=None)
    found = app.routes[-1]
    assert isinstance(found, APIRoute)
    return found


def call(function: Any) -> Any:
    answer = in_order(route(function).dependant)
    assert answer is not None
    scope = {
        "type": "http", "method": "GET", "path": "/me", "headers": [], "query_string": b"",
        "server": ("host", 80), "path_params": {"name": "me"},
    }  # fmt: skip
    return asyncio.run(_awaited(answer(Request(scope))))


async def _awaited(value: Any) -> Any:
    return await value


def test_each_dependency_is_called_once_in_order() -> None:
    CALLED.clear()
    assert json.loads(call(endpoint).body) == ["me", "GET", "second first /me", "first /me"]
    assert CALLED == ["first", "second", "endpoint"]


def test_an_exception_of_a_dependency_ends_the_call() -> None:
    CALLED.clear()
    with pytest.raises(LookupError):
        call(stopped)
    assert CALLED == []


@pytest.mark.parametrize(
    "function",
    [of_query, with_query, with_number, without_cache, of_thread, in_a_thread, without_response],
)
def test_an_endpoint_that_needs_more_is_called_by_fastapi(function: Any) -> None:
    path = "/{name}" if function is with_number else "/"
    assert in_order(route(function, path).dependant) is None


def test_only_an_operation_with_a_form_is_called_by_fastapi() -> None:
    """FastAPI would call a dependency that is not a coroutine function in a thread."""
    operations = [operation for vendor in VENDORS.values() for operation in vendor.operations.values()]
    left = set()
    for operation in operations:
        path = re.sub(r":\w+}", "}", operation.path)
        if in_order(route(operation.endpoint, path).dependant) is None:
            left.add(operation.name)
    assert left == {"token"}
