"""Fixtures for tests of the console in a browser: one emulator and one browser for a module."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from emulator.backends.queue.pool import WorkerPool
from emulator.control.console import is_built
from emulator.server import Listening, running_server
from emulator.settings import Settings

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

ARGUMENTS = [
    "--no-sandbox",
    # WebGL without a graphics card. Chromium no longer falls back to software by itself.
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]

TIMEOUT_MS = 30_000

NOISE = ("GPU stall", "GL Driver Message", "Failed to load resource: the server responded with a status")
"""Messages of the software WebGL about its speed, and of Chromium about responses with an error status."""

Opener = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of this folder that need a browser, if there is none or the console is not built."""
    if CHROMIUM is not None and is_built():
        return
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent and "opened" in getattr(
            item, "fixturenames", ()
        ):
            item.add_marker(pytest.mark.skip(reason="needs Chromium and a built console (`make console`)"))


@pytest.fixture(scope="module")
def emulator(workers: WorkerPool) -> Iterator[Listening]:
    """An emulator that no other module uses, because the tests reset it and move its clock."""
    prices = {"unit": {"amount": "0.10", "currency": "USD"}}
    with running_server(Settings(vendors={"perfectcorp": {"prices": prices}}), workers=workers) as listening:
        yield listening


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def api(emulator: Listening) -> Iterator[httpx.Client]:
    """A client of the emulator, which is reset first."""
    with httpx.Client(base_url=emulator.base_url, timeout=120) as client:
        client.post("/_emulator/reset").raise_for_status()
        yield client


@pytest.fixture
def opened(emulator: Listening, browser: Browser, api: httpx.Client) -> Iterator[Opener]:  # noqa: ARG001 - resets the emulator
    """Return a function that opens a view of the console in a new context.

    At the end, no page has written an error to its log, and no request has gone to another host. Responses
    with an error status do not count, because tests provoke them.
    """
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def note(message: ConsoleMessage) -> None:
        text = message.text
        is_response = text.startswith("Failed to load resource: the server responded with a status")
        if (
            message.type in {"error", "warning"}
            and not is_response
            and not any(each in text for each in NOISE)
        ):
            problems.append(text)

    def check(request: Request) -> None:
        if not request.url.startswith((emulator.base_url, "blob:", "data:")):
            problems.append(f"a request to {request.url}")

    def open_view(view: str = "", *, width: int = 1440, height: int = 900, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", check)
        page.goto(f"{emulator.base_url}/_emulator/console/{view}")
        page.locator(".light.live").wait_for()
        return page

    yield open_view
    for context in contexts:
        context.close()
    assert problems == []
