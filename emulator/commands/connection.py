"""Shared options of the commands that call a running emulator, and their connection to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from emulator.commands.failure import CallFailed, failed

if TYPE_CHECKING:
    from face_api_emulator.client import Client

BASE_URL = "http://127.0.0.1:3468"

url_option = click.option(
    "--url",
    default=BASE_URL,
    envvar="FACE_EMULATOR_URL",
    show_envvar=True,
    help="URL of the running emulator.",
)
credential_option = click.option(
    "--credential", "-c", help="Credential to change; omit it to change the default."
)
credential_match_option = click.option(
    "--credential", "-c", help="Only for this credential; omit it for all credentials."
)
credential_filter_option = click.option(
    "--credential", "-c", help="Only this credential; omit it for all credentials."
)


@contextmanager
def connected(url: str, credential: str | None = None) -> Iterator[Client]:
    """Yield a client of a running emulator. On an error, print a message and exit, without a traceback."""
    from face_api_emulator.client import Client, ControlError

    try:
        with Client(url, credential) as client:
            yield client
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended; Click exits silently
        raise
    except (CallFailed, ControlError, ValueError, OSError) as error:
        raise failed(str(error)) from error
