"""Patches of aiohttp and httpcore."""

from __future__ import annotations

import copy
import functools
import socket
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from face_api_emulator.testing.interception.hosts import is_address
from face_api_emulator.testing.interception.patch import Replacement
from face_api_emulator.testing.interception.registry import check_lookup, find_route
from face_api_emulator.testing.interception.stand_ins import stand_in


def aiohttp_replacements(module: ModuleType) -> Iterator[Replacement]:
    """Yield the replacements of methods of ``aiohttp.connector``."""
    yield module.TCPConnector, "_resolve_host", _resolve_host


def httpcore_replacements(module: ModuleType) -> Iterator[Replacement]:
    """Yield the replacements of methods of httpcore's proxies."""
    for prefix in ("", "Async"):
        pool = getattr(module, f"{prefix}ConnectionPool")
        direct = pool.create_connection
        for name in ("HTTPProxy", "SOCKSProxy", "ConnectionPool"):
            proxy = getattr(module, prefix + name, None)
            # Without the optional package for SOCKS, the class is a stub that only raises.
            if proxy is not None and issubclass(proxy, pool):
                yield proxy, "create_connection", functools.partial(_create_pooled, direct)


def _resolve_host(original: Callable[..., Any]) -> Callable[..., Any]:
    async def resolve_host(self: Any, host: str, port: int, *arguments: Any, **options: Any) -> Any:
        found = find_route(host)
        if found is None:
            # Check only names here. The connection to an address is checked later, and fails with a better
            # error.
            if not is_address(host):
                check_lookup(host, port)
            return await original(self, host, port, *arguments, **options)
        address = stand_in(*found, self.family)
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            }
        ]

    return resolve_host


def _create_pooled(direct: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    def create_connection(self: Any, origin: Any) -> Any:
        if find_route(origin.host) is None:
            return original(self, origin)
        # The copy of the pool only provides settings for the connection.
        pool = copy.copy(self)
        pool._proxy = None  # noqa: SLF001 - the attribute of httpcore's pools
        return direct(pool, origin)

    return create_connection
