"""PostgreSQL, an object store, servers and workers that run for the duration of a measurement."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil

from benchmarks.speed.servers import Running, running

if TYPE_CHECKING:
    from postgres import PostgresServer

TESTS = Path(__file__).parents[2] / "tests"

DURABLE = {"listen_addresses": "127.0.0.1", "max_connections": "200"}
"""Options of the database. All others have their defaults, so each commit waits for the disk."""

BUCKET = "benchmark"

UNITS = {
    "FACE_EMULATOR_VENDORS__PERFECTCORP__UNITS": "1000000000",
    "FACE_EMULATOR_VENDORS__PERFECTCORP__UNITS_DAYS": "1000",
}

_numbers = itertools.count()


@dataclass(frozen=True)
class Stores:
    """What replicas share.

    Attributes
    ----------
    database : PostgresServer
    objects : Running
        An S3 by moto.
    """

    database: PostgresServer
    objects: Running

    @contextlib.contextmanager
    def empty(self) -> Iterator[dict[str, str]]:
        """Create an empty database, and yield the variables of replicas that use it."""
        with self.database.database() as url:
            yield {
                "FACE_EMULATOR_DATABASE_URL": url,
                "FACE_EMULATOR_BLOBS_URL": f"s3://{BUCKET}/{next(_numbers)}",
                "AWS_ENDPOINT_URL": self.objects.url,
                "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "benchmark",
                "AWS_SECRET_ACCESS_KEY": "benchmark",
            }

    @contextlib.contextmanager
    def without_waiting_for_the_disk(self) -> Iterator[None]:
        """Switch fsync off: commits survive a crash of the database, but not a crash of its machine."""
        self._configure("SET fsync = off")
        try:
            yield
        finally:
            self._configure("RESET fsync")

    def _configure(self, change: str) -> None:
        self.database.execute(f"ALTER SYSTEM {change}")
        self.database.execute("SELECT pg_reload_conf()")

    def commits(self) -> int:
        """Return how many transactions have changed something in any database."""
        ((number,),) = self.database.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
        return int(str(number))

    @property
    def root(self) -> psutil.Process:
        """The first process of PostgreSQL."""
        return psutil.Process(self.database.pid)


@contextlib.contextmanager
def stores() -> Iterator[Stores]:
    """Start PostgreSQL as the tests do, and moto's S3."""
    sys.path.append(str(TESTS))
    from postgres import MISSING, is_installed, new_server  # noqa: PLC0415 - from the folder of the tests

    if not is_installed():
        raise RuntimeError(f"{MISSING}; on Debian: apt-get install postgresql")
    database = new_server(DURABLE)
    try:
        moto = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "PORT"]
        with running(moto, "/moto-api/", interval=0.05) as objects:
            httpx.put(f"{objects.url}/{BUCKET}", trust_env=False).raise_for_status()
            yield Stores(database, objects)
    finally:
        database.remove()


@contextlib.contextmanager
def server(variables: Mapping[str, str] = {}, *, workers: int = 1) -> Iterator[Running]:
    """Run a server, and wait until it is ready. Without ``variables``, it does not use the stores."""
    command = [sys.executable, "-m", "emulator", "serve", "--port", "PORT"]
    given = {**UNITS, **variables, "FACE_EMULATOR_WORKERS": str(workers)}
    with running(command, "/_emulator/ready", variables=given, interval=0.02) as process:
        yield process


@contextlib.contextmanager
def worker(variables: Mapping[str, str], *, workers: int = 1) -> Iterator[psutil.Process]:
    """Run a worker, and wait until it is ready.

    Raises
    ------
    RuntimeError
        If the worker ends before it is ready.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "emulator", "worker"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **UNITS, **variables, "FACE_EMULATOR_WORKERS": str(workers)},
        text=True,
    ) as process:
        try:
            if not any(line == "Ready.\n" for line in process.stdout or ()):
                raise RuntimeError(f"the worker ended with exit code {process.wait()}")
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
