"""Commands that talk to a running emulator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

# ruff: noqa: PLC0415 - a command imports what it needs, for the sake of a quick `--help`

Url = Annotated[str, typer.Option("--url", envvar="FACE_EMULATOR_URL", help="Where the emulator listens.")]
BASE_URL = "http://127.0.0.1:3468"
PATIENCE_SECONDS = 600
CHUNK_BYTES = 1024 * 1024

snapshot = typer.Typer(no_args_is_help=True, help="Keep everything that an emulator stores in one file.")


class CallFailed(Exception):
    """The emulator did not do what it was asked."""


@snapshot.command()
def save(
    file: Annotated[Path, typer.Argument(help="Where the snapshot goes; replaced if it is there.")],
    url: Url = BASE_URL,
) -> None:
    """Write all state of a running emulator to FILE."""
    import httpx

    # Written beside and renamed, so that a download that breaks off leaves a former snapshot alone.
    unfinished = file.with_name(f"{file.name}.part")
    with _told(url):
        try:
            with (
                httpx.stream(
                    "GET", f"{url.rstrip('/')}/_emulator/snapshot", timeout=PATIENCE_SECONDS
                ) as answer,
                unfinished.open("wb") as written,
            ):
                _check(answer)
                for chunk in answer.iter_bytes(CHUNK_BYTES):
                    written.write(chunk)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    typer.echo(f"{file}: {file.stat().st_size:,} bytes")


@snapshot.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `snapshot save` wrote.")], url: Url = BASE_URL
) -> None:
    """Replace all state of a running emulator by what FILE holds."""
    import httpx

    with _told(url), file.open("rb") as opened:
        answer = httpx.put(f"{url.rstrip('/')}/_emulator/snapshot", content=opened, timeout=PATIENCE_SECONDS)
        _check(answer)
    found = answer.json()
    typer.echo(
        f"{found['documents']} documents, {found['counters']} counters and {found['blobs']} blobs restored"
    )


def _check(answer: object) -> None:
    import httpx

    if not isinstance(answer, httpx.Response):
        raise TypeError(answer)
    if answer.is_error:
        answer.read()
        try:
            reason = answer.json()["error"]
        except (ValueError, LookupError, TypeError):
            reason = f"it answered {answer.status_code}, as no emulator does"
        raise CallFailed(str(reason))


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Tell the user what went wrong, without a traceback."""
    import httpx

    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        typer.echo(f"face-emulator: no emulator answers at {url} ({error})", err=True)
        raise typer.Exit(1) from error
    except (CallFailed, OSError) as error:
        typer.echo(f"face-emulator: {error}", err=True)
        raise typer.Exit(1) from error
