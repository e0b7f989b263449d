"""Fixtures that run commands against the session's emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner

from emulator.cli import app
from emulator.client import Client
from emulator.server import Listening

ME = "commander"


@pytest.fixture
def tell(server: Listening) -> Callable[..., str]:
    """Return a function that runs a command against the session's emulator and returns its output."""

    def run(*arguments: str, fails: bool = False) -> str:
        done = CliRunner().invoke(app, [*arguments, "--url", server.base_url])
        assert (done.exit_code != 0) == fails, done.output
        return done.output.strip()

    return run


@pytest.fixture
def tell_mine(tell: Callable[..., str]) -> Callable[..., str]:
    """Return a function that runs a command with the credential of ``me``."""
    return lambda *arguments: tell(*arguments, "-c", ME)


@pytest.fixture
def me(server: Listening) -> Iterator[Client]:
    """A control client with a credential that only the tests of commands use."""
    with Client(server.base_url, ME) as client:
        yield client
        client.reset()
