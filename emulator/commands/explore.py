"""``face-emulator explore``."""

from __future__ import annotations

import click
from click.exceptions import Exit

from emulator.commands.failure import require_server, stopped
from emulator.commands.output import json_option


# All arguments after the first one belong to the command, even if they look like options.
@click.command(context_settings={"allow_interspersed_args": False})
@click.argument(
    "command",
    nargs=-1,
    required=True,
    type=click.UNPROCESSED,
    metavar="-- COMMAND...",
    help="Command that runs the client, after `--`. It must exit with 0 if it succeeds.",
)
@click.option("--url", help="URL of a running emulator; omit it to start one.")
@click.option("--endpoint", help="URL that receives webhooks; omit it if the client adds its own endpoint.")
@click.option("--secret", help="Signing secret for --endpoint; omit it to generate one.")
@click.option("--vendor", help="Vendor that sends webhooks to --endpoint; omit it for all vendors.")
@click.option(
    "--polls",
    type=click.IntRange(min=0, max=20),
    default=2,
    help="Largest number of polls that return `running` before the task ends.",
)
@click.option("--limit", type=click.IntRange(min=1), default=100, help="Largest number of orders to try.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=60.0,
    help="Seconds after which a run of the client fails.",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=3.0,
    help="Seconds to wait for each poll; must be longer than the client's polling interval.",
)
@json_option
def explore(
    *,
    command: tuple[str, ...],
    url: str | None,
    endpoint: str | None,
    secret: str | None,
    vendor: str | None,
    polls: int,
    limit: int,
    timeout: float,
    patience: float,
    as_json: bool,
) -> None:
    """Run a client with every order of polls and webhooks, and report the orders that break it.

    The client must create a task at the URL in FACE_EMULATOR_URL, with the key in FACE_EMULATOR_CREDENTIAL.
    With --endpoint, FACE_EMULATOR_WEBHOOK_SECRET contains the signing secret. The exit code is 0 if the
    client succeeds with every order, 1 if it fails with at least one, and 2 if it cannot be tested.
    """
    require_server("explore")
    from emulator.explore import CannotExplore, Exploration, explore_plans

    asked = Exploration(
        command,
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
        raise Exit(1)
