"""``face-emulator explore``."""

from __future__ import annotations

from typing import Annotated

import typer

from emulator.commands.failure import stopped
from emulator.commands.output import AsJson


def explore(
    command: Annotated[
        list[str],
        typer.Argument(help="Command that runs the client, after `--`. It must exit with 0 if it succeeds."),
    ],
    *,
    url: Annotated[str | None, typer.Option(help="URL of a running emulator; omit it to start one.")] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(help="URL that receives webhooks; omit it if the client adds its own endpoint."),
    ] = None,
    secret: Annotated[
        str | None, typer.Option(help="Signing secret for --endpoint; omit it to generate one.")
    ] = None,
    vendor: Annotated[
        str | None, typer.Option(help="Vendor that sends to --endpoint; omit it for all vendors.")
    ] = None,
    polls: Annotated[
        int,
        typer.Option(
            help="Largest number of polls that return `running` before the task ends.", min=0, max=20
        ),
    ] = 2,
    limit: Annotated[int, typer.Option(help="Largest number of orders to try.", min=1)] = 100,
    timeout: Annotated[
        float, typer.Option(help="Seconds after which a run of the client fails.", min=1)
    ] = 60.0,
    patience: Annotated[
        float,
        typer.Option(
            help="Seconds to wait for each poll; must be longer than the client's polling interval.", min=0
        ),
    ] = 3.0,
    as_json: AsJson = False,
) -> None:
    """Run a client with every order of polls and webhooks, and report the orders that break it.

    The client must create a task at the URL in FACE_EMULATOR_URL, with the key in FACE_EMULATOR_CREDENTIAL.
    With --endpoint, FACE_EMULATOR_WEBHOOK_SECRET has the signing secret. The exit code is 0 if no order
    breaks the client, 1 if one does, and 2 if the client cannot be tested.
    """
    from emulator.explore import CannotExplore, Exploration, explore_plans

    asked = Exploration(
        tuple(command),
        endpoint=endpoint,
        secret=secret,
        vendor=vendor,
        most_polls=polls,
        limit=limit,
        timeout_s=timeout,
        patience_s=patience,
    )
    try:
        broken = explore_plans(asked, url, as_json=as_json)
    except (CannotExplore, ValueError, OSError) as error:
        raise stopped(error, 2) from error
    if broken:
        raise typer.Exit(1)
