"""``describe_routes``, which takes the descriptions of routes from their docstrings."""

from __future__ import annotations

import inspect

from fastapi import APIRouter
from fastapi.routing import APIRoute, iter_route_contexts


def describe_routes(router: APIRouter) -> None:
    """Set each route's summary to the first line of its docstring, and its description to the rest."""
    for context in iter_route_contexts(router.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            first, _, rest = (inspect.getdoc(route.endpoint) or "").partition("\n")
            route.summary = first.removesuffix(".")
            # FastAPI would replace an empty description with the docstring, so use a blank, which FastAPI
            # removes later.
            route.description = rest.strip() or " "
