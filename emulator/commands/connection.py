"""Shared options of the commands that call a running emulator, and their connection to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from emulator.commands.failure import CallFailed, failed

if TYPE_CHECKING:
    from emulator.control.client import Client

Url = Annotated[str, typer.Option("--url", envvar="FACE_EMULATOR_URL", help="URL of the running emulator.")]
Credential = Annotated[
    str | None,
    typer.Option("--credential", "-c", help="Credential to change; omit it to change the default."),
]
CredentialMatch = Annotated[
    str | None,
    typer.Option("--credential", "-c", help="Only for this credential; omit it for all credentials."),
]
CredentialFilter = Annotated[
    str | None,
    typer.Option("--credential", "-c", help="Only this credential; omit it for all credentials."),
]
BASE_URL = "http://127.0.0.1:3468"


@contextmanager
def connected(url: str, credential: str | None = None) -> Iterator[Client]:
    """Yield a client of a running emulator. On an error, print a message and exit, without a traceback."""
    import httpx
    from pydantic import ValidationError

    from emulator.control.client import Client, ControlError
    from emulator.control.scenario import ScenarioUnreadable

    try:
        with Client(url, credential) as client:
            yield client
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise failed(
            f"no emulator answers at {url} ({error}); run `face-emulator serve` or check --url"
        ) from error
    except ValidationError as error:
        reasons = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise failed("; ".join(reasons)) from error
    except (CallFailed, ControlError, ScenarioUnreadable, ValueError, OSError) as error:
        raise failed(str(error)) from error
