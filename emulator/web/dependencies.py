"""Fast calls of a route's endpoint with its dependencies.

For every request, FastAPI walks through the tree of dependencies, and visits a dependency once for each
function that needs it. This takes longer than the rest of a poll. The tree does not change, so this module
converts it once into a list.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant


@dataclass(frozen=True)
class _Step:
    """A function to call.

    Attributes
    ----------
    call : async callable
    request : str or None
        Name of the parameter that gets the request.
    path : tuple of str
        Names of the parameters that get a part of the path.
    results : tuple of (str, int)
        Names of the parameters that get the result of another step, with the number of the step.
    """

    call: Callable[..., Awaitable[Any]]
    request: str | None
    path: tuple[str, ...]
    results: tuple[tuple[str, int], ...]


def in_order(endpoint: Dependant) -> Callable[[Request], Awaitable[Response]] | None:
    """Return a function that calls each dependency of an endpoint once, and then the endpoint.

    The order is the same as in FastAPI. Return None if FastAPI itself must call the endpoint. This is the
    case if the endpoint does not return a Response, or if a parameter of the endpoint or of a dependency is
    not the request, a string from the path, or another dependency.
    """
    steps: list[_Step] = []
    if not _returns_response(endpoint.call) or _add(endpoint, steps, {}) is None:
        return None
    source, names = _source(steps)
    exec(source, names)  # noqa: S102 - the source contains only names of parameters, and numbers
    answer: Callable[[Request], Awaitable[Response]] = names["answer"]
    return answer


def _source(steps: list[_Step]) -> tuple[str, dict[str, Any]]:
    """Return the source of a function that calls all steps, and the global names that the source uses.

    Generated source is faster than calls with ``**arguments``, which would take longer than most steps.
    """
    lines = ["async def answer(request):"]
    names: dict[str, Any] = {}
    for number, step in enumerate(steps):
        names[f"call_{number}"] = step.call
        arguments = [f"{name}=result_{other}" for name, other in step.results]
        arguments += [] if step.request is None else [f"{step.request}=request"]
        arguments += [f"{name}=request.path_params[{name!r}]" for name in step.path]
        lines.append(f"    result_{number} = await call_{number}({', '.join(arguments)})")
    return "\n".join([*lines, f"    return result_{len(steps) - 1}"]), names


def _add(dependant: Dependant, steps: list[_Step], known: dict[Any, int]) -> int | None:
    """Add the steps of a dependency, and return the index of the step that calls it.

    Return None if FastAPI must call it.
    """
    if dependant.call in known:
        return known[dependant.call]
    results: list[tuple[str, int]] = []
    for needed in dependant.dependencies:
        number = _add(needed, steps, known)
        if number is None or needed.name is None:
            return None
        results.append((needed.name, number))
    if dependant.call is None or _needs_more(dependant):
        return None
    path = tuple(field.name for field in dependant.path_params)
    steps.append(_Step(dependant.call, dependant.request_param_name, path, tuple(results)))
    known[dependant.call] = len(steps) - 1
    return len(steps) - 1


def _returns_response(endpoint: Callable[..., Any] | None) -> bool:
    returned = get_type_hints(endpoint).get("return") if endpoint is not None else None
    return isinstance(returned, type) and issubclass(returned, Response)


def _needs_more(dependant: Dependant) -> bool:
    return bool(
        not inspect.iscoroutinefunction(dependant.call)
        or not dependant.use_cache
        or dependant.query_params
        or dependant.header_params
        or dependant.cookie_params
        or dependant.body_params
        or dependant.websocket_param_name
        or dependant.http_connection_param_name
        or dependant.response_param_name
        or dependant.background_tasks_param_name
        or dependant.security_scopes_param_name
        or dependant.own_oauth_scopes
        or any(field.field_info.annotation is not str for field in dependant.path_params)
    )
