"""``face-emulator worker``."""

from __future__ import annotations

import logging

import click

from emulator.commands.failure import failed, require_server, stopped
from emulator.commands.output import json_option, print_json

NO_DATABASE = (
    "worker requires FACE_EMULATOR_DATABASE_URL, the database that it shares with the servers; without a "
    "shared database, each server performs its own tasks"
)


@click.command()
@click.option(
    "--check",
    is_flag=True,
    help="Do not start a worker. Exit with 0 if a worker of this machine is connected to the database, "
    "otherwise with 1. Use it for container health checks.",
)
@json_option
def worker(*, check: bool, as_json: bool) -> None:
    """Start a worker, which performs tasks of servers that share a database. Stop it with Ctrl+C.

    A worker does not serve the vendors' APIs. It reads the same settings as the servers, such as
    FACE_EMULATOR_DATABASE_URL, and prints `Ready.` when it is ready. You can run any number of workers, on
    any number of machines. When a worker is stopped, it first finishes the tasks that it has begun, but takes
    at most FACE_EMULATOR_STOP_SECONDS. Other servers and workers perform the remaining tasks.
    """
    require_server("worker")
    import asyncio

    from emulator.backends.drivers import DriverMissing
    from emulator.backends.queue import WorkerLost
    from emulator.backends.records import StoreUnreadable
    from emulator.backends.unavailable import StoreUnavailable
    from emulator.settings import Settings

    try:
        settings = Settings()
        if settings.database_url is None:
            raise failed(NO_DATABASE)
        if check:
            _check(settings.database_url.get_secret_value(), as_json=as_json)
            return
        from emulator.deferral import defer_models

        defer_models()
        from uvicorn.loops.auto import auto_loop_factory

        from emulator.server.working import work

        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
        logging.getLogger("httpx").setLevel(logging.WARNING)
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
            runner.run(
                work(settings, lambda: print_json({"ready": True}) if as_json else click.echo("Ready."))
            )
    except (DriverMissing, StoreUnavailable, StoreUnreadable, ValueError, OSError) as error:
        raise stopped(error) from error
    except WorkerLost as error:
        raise failed(f"the face core cannot be loaded ({error}); see the error above") from error
    except KeyboardInterrupt:
        pass


def _check(url: str, *, as_json: bool) -> None:
    """Stop the command if no worker of this machine is connected to the database."""
    import asyncio
    import socket

    from emulator.backends.drivers import DriverMissing

    try:
        from emulator.backends.records.postgres import living_replicas
    except ImportError as error:
        raise DriverMissing("FACE_EMULATOR_DATABASE_URL", "psycopg") from error
    living = asyncio.run(living_replicas(url))
    is_alive = ("worker", socket.gethostname()) in {(each.role, each.host) for each in living}
    if as_json:
        print_json({"alive": is_alive})
    if not is_alive:
        raise failed("no worker of this machine is connected to the database")
