"""``face-emulator serve``."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emulator.commands.failure import failed, require_server, stopped

if TYPE_CHECKING:
    from emulator.server import Listening
    from emulator.settings import Settings


WATCH_SECONDS = 1.0
"""Real seconds between two checks of the process of ``--until-process``."""

TLS_PORT = 3469
"""Default port of ``--tls``."""


@click.command()
@click.option(
    "--host",
    multiple=True,
    help=(
        "Address to listen on; repeat the option for several. `0.0.0.0` means all IPv4 addresses, `::` "
        "means all addresses. The default is 127.0.0.1."
    ),
)
@click.option(
    "--port",
    type=click.IntRange(min=0, max=65535),
    default=3468,
    help="Port to listen on; 0 for any free port.",
)
@click.option(
    "--tls",
    type=click.IntRange(min=0, max=65535),
    is_flag=False,
    flag_value=TLS_PORT,
    metavar="[PORT]",
    help=(
        f"Also serve TLS for the vendors' host names, on this port; 0 for any free port. The option "
        f"without a port uses {TLS_PORT}."
    ),
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder to store all state in; overrides FACE_EMULATOR_DATA_DIR.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object with the URLs as soon as the emulator is ready.",
)
@click.option(
    "--until-process",
    "process",
    type=int,
    hidden=True,
    help="Stop when the process with this id has ended.",
)
def serve(
    *,
    host: tuple[str, ...],
    port: int,
    tls: int | None,
    data_dir: Path | None,
    as_json: bool,
    process: int | None,
) -> None:
    """Start the emulator. Stop it with Ctrl+C.

    The command prints the URL of each vendor's API, and `Ready.` when the emulator is ready. Settings are
    environment variables, such as FACE_EMULATOR_SEED. Without a data folder, all state is lost when the
    emulator stops. If the address is not a loopback address, the control API is off by default. To turn it
    on, set FACE_EMULATOR_CONTROL to on.
    """
    require_server("serve")
    # A garbage collection during startup would free nothing, and take a sixth of the startup time.
    gc.disable()
    from emulator.deferral import defer_models

    defer_models()
    import asyncio

    from uvicorn.loops.auto import auto_loop_factory

    from emulator.backends.drivers import DriverMissing
    from emulator.backends.queue import WorkerLost
    from emulator.backends.records import StoreUnreadable
    from emulator.backends.unavailable import StoreUnavailable
    from emulator.control.init import InitFailed
    from emulator.control.scenario_error import ScenarioUnreadable
    from emulator.server import AddressInUse, AddressUnusable
    from emulator.server import serve as serve_forever
    from emulator.settings import Settings
    from emulator.tls.unusable import AuthorityUnusable
    from emulator.world.faults.engine import UnknownFault
    from emulator.world.lifetimes import LifetimeRefused

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if process is not None:
        _watch(process)
    try:
        settings = Settings() if data_dir is None else Settings(data_dir=data_dir)
        # uvloop loses the first bytes of some connections that are upgraded to TLS.
        with asyncio.Runner(loop_factory=auto_loop_factory() if tls is None else None) as runner:
            runner.run(
                serve_forever(
                    settings,
                    host or ["127.0.0.1"],
                    port,
                    lambda listening: (
                        _announce_json(listening) if as_json else _announce(listening, settings)
                    ),
                    tls_port=tls,
                    log=sys.stderr,
                )
            )
    except (
        AddressInUse,
        AddressUnusable,
        AuthorityUnusable,
        DriverMissing,
        InitFailed,
        LifetimeRefused,
        ScenarioUnreadable,
        StoreUnavailable,
        StoreUnreadable,
        UnknownFault,
        ValueError,
        OSError,
    ) as error:
        raise stopped(error) from error
    except WorkerLost as error:
        raise failed(f"the face core cannot be loaded ({error}); see the error above") from error
    except KeyboardInterrupt:
        pass


async def _announce(listening: Listening, settings: Settings) -> None:
    """Print the URLs, and then ``Ready.`` as the last line."""
    from emulator.control.console import is_built

    vendors = listening.app.state.vendors
    width = max(len(vendor.title) for vendor in vendors)
    for vendor in vendors:
        click.echo(f"{vendor.title:<{width}}  {listening.base_url}{vendor.prefixes[0]}")
    control = (
        f"{listening.control_url}/_emulator"
        if listening.control_url
        else "off (set FACE_EMULATOR_CONTROL=on)"
    )
    click.echo(f"{'Control':<{width}}  {control}")
    if listening.console_url is not None:
        has_console = "" if is_built() else " (not installed; the page explains how to install it)"
        click.echo(f"{'Console':<{width}}  {listening.console_url}{has_console}")
    if listening.tls_url is not None:
        click.echo(
            f"{'TLS':<{width}}  {listening.tls_url} for the vendors' names; clients must trust "
            f"{listening.ca_file}"
        )
    click.echo(f"seed {settings.seed}, clock {listening.app.state.world.clock.describe()}")
    await listening.app.state.world.queue.wait_until_warm()
    click.echo("Ready.")


async def _announce_json(listening: Listening) -> None:
    """Print the URLs as one line of JSON when the emulator is ready."""
    await listening.app.state.world.queue.wait_until_warm()
    document = {
        "url": listening.base_url,
        "vendors": {
            vendor.name: f"{listening.base_url}{vendor.prefixes[0]}" for vendor in listening.app.state.vendors
        },
        "control": listening.control_url and f"{listening.control_url}/_emulator",
        "console": listening.console_url,
        "tls": listening.tls_url,
        "ca": None if listening.ca_file is None else str(listening.ca_file),
    }
    click.echo(json.dumps(document))


def _watch(process: int) -> None:
    """Stop this process, in the same way as Ctrl+C, when the process with the id ``process`` has ended."""

    def wait() -> None:
        while True:
            try:
                os.kill(process, 0)
            except OSError:
                signal.raise_signal(signal.SIGINT)
                return
            time.sleep(WATCH_SECONDS)

    threading.Thread(target=wait, daemon=True).start()
