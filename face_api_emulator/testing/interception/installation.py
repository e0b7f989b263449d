"""Installation of the patches, while a redirector or a watcher is in use."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType

from face_api_emulator.testing.interception import registry
from face_api_emulator.testing.interception.event_loops import asyncio_replacements, uvloop_replacements
from face_api_emulator.testing.interception.import_hook import ImportHook
from face_api_emulator.testing.interception.libraries import aiohttp_replacements, httpcore_replacements
from face_api_emulator.testing.interception.patch import Patch, Replacement
from face_api_emulator.testing.interception.protocols import Redirector, Watcher
from face_api_emulator.testing.interception.sockets import socket_replacements
from face_api_emulator.testing.interception.tls import tls_replacements

LIBRARIES: dict[str, Callable[[ModuleType], Iterator[Replacement]]] = {
    "uvloop": uvloop_replacements,
    "aiohttp.connector": aiohttp_replacements,
    "httpcore": httpcore_replacements,
    "httpcore2": httpcore_replacements,
}
"""Modules that are patched if the process uses them."""

_patches: list[Patch] = []


@contextlib.contextmanager
def redirecting(redirector: Redirector) -> Iterator[None]:
    """Use ``redirector`` for the duration of the block, before all redirectors that were added earlier."""
    with registry.lock:
        registry.add_redirector(redirector)
        _update()
    try:
        yield
    finally:
        with registry.lock:
            registry.remove_redirector(redirector)
            _update()


@contextlib.contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Use ``watcher`` to check all names and addresses that are not redirected, during the block."""
    with registry.lock:
        registry.add_watcher(watcher)
        _update()
    try:
        yield
    finally:
        with registry.lock:
            registry.remove_watcher(watcher)
            _update()


def _update() -> None:
    """Install the patches if a redirector or a watcher is in use. If none is, undo the patches."""
    if not registry.is_used():
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(_HOOK)
        while _patches:
            _patches.pop().undo()
    elif not _patches:
        _install(socket_replacements())
        _install(tls_replacements())
        _install(asyncio_replacements())
        # Add the hook first, so that it patches libraries that other threads import during the loop.
        sys.meta_path.insert(0, _HOOK)
        for name in LIBRARIES:
            module = sys.modules.get(name)
            # A module that another thread is importing does not have its classes yet.
            if module is not None and not getattr(module.__spec__, "_initializing", False):
                _patch_library(module)


def _install(replacements: Iterable[Replacement]) -> None:
    _patches.extend(Patch(owner, name, make) for owner, name, make in replacements)


def _patch_library(module: ModuleType) -> None:
    with registry.lock:
        if registry.is_used():
            _install(LIBRARIES[module.__name__](module))


_HOOK = ImportHook(LIBRARIES, _patch_library)
