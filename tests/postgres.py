"""PostgreSQL servers for tests, started from the programs that are installed on the machine."""

from __future__ import annotations

import contextlib
import glob
import itertools
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

NEEDED = "TESTS_NEED_POSTGRES"
"""Variable that makes tests fail, instead of skipping them, if PostgreSQL is not installed."""

MISSING = "PostgreSQL is not installed"

USERS = ("postgres", "nobody")
"""Users that can run PostgreSQL, which refuses to be run by root."""

OPTIONS: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "16MB",
}

START_SECONDS = 60

WATCH = """
( while kill -0 "$1" && [ -d "$2" ]; do sleep 2; done
  kill -QUIT "$(head -n 1 "$2/data/postmaster.pid")"
  rm -rf "$2" ) &
"""
"""Stops the server and deletes its folder if the test run, whose process is the first argument, is killed."""

_numbers = itertools.count()


@dataclass
class PostgresServer:
    """A server with its data in ``folder``. Everybody on this machine may connect to it."""

    folder: Path
    port: int
    pid: int | None = field(default=None)
    options: Mapping[str, str] = field(default_factory=lambda: OPTIONS)

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database."""
        return f"postgresql://emulator:a-secret@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        options = {**self.options, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        given = " ".join(f"-c {name}={value}" for name, value in options.items())
        _run("pg_ctl", "start", "-w", "-s", "-D", self.data, "-o", given, "-l", self.folder / "log")
        self.pid = int((self.data / "postmaster.pid").read_text().split()[0])

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server, if it is running: ``smart``, ``fast`` or ``immediate`` (as a crash)."""
        if (self.data / "postmaster.pid").exists():
            _run("pg_ctl", "stop", "-w", "-s", "-D", self.data, "-m", mode)
        self.pid = None

    def remove(self) -> None:
        """Stop the server, and delete its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Create an empty database, and return its address. Delete it afterwards."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        ((version,),) = self.execute("SELECT current_setting('server_version_num')::int")
        # The default strategy since PostgreSQL 15 takes six times as long.
        strategy = "STRATEGY FILE_COPY" if int(str(version)) >= 150000 else ""
        self.execute(f"CREATE DATABASE {name} {strategy}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement, and return its rows."""
        return execute(self.url(database), statement)

    @property
    def data(self) -> Path:
        """The folder of the database cluster."""
        return self.folder / "data"


def execute(url: str, statement: str, *values: object) -> list[tuple[object, ...]]:
    """Run a statement in a database, and return its rows."""
    import psycopg  # noqa: PLC0415 - most tests do not need it

    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values or None)
        return [] if cursor.description is None else cursor.fetchall()


def kill_connections(url: str) -> int:
    """Terminate all connections to a database, as an administrator can, and return their number."""
    killed = execute(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    return len(killed)


def new_server(options: Mapping[str, str] = OPTIONS) -> PostgresServer:
    """Create and start a server. Skip the test if PostgreSQL is not installed."""
    if not is_installed():
        (pytest.fail if os.environ.get(NEEDED) else pytest.skip)(MISSING)
    # Not in the folder of pytest, which the user of the server cannot enter. The path of a socket is short.
    folder = Path(tempfile.mkdtemp(prefix="emulator-postgres-"))
    server = PostgresServer(folder, _free_port(), options=options)
    try:
        user = _user()
        if user is not None:
            shutil.chown(folder, user)
        _run(
            "initdb",
            "--no-sync",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--username=emulator",
            "--pgdata",
            server.data,
        )
        server.start()
        run = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
        subprocess.run(  # noqa: S603 - the command is fixed
            ["/bin/sh", "-c", WATCH, "watch", str(run), str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            check=True,
        )
    except BaseException:
        server.remove()
        raise
    return server


@contextlib.contextmanager
def shared_server(folder: Path) -> Iterator[PostgresServer]:
    """Use the server of this test run, which all its processes share through ``folder``.

    The first process that needs it starts it, and the last one that used it stops it.
    """
    note = folder / "postgres.json"
    with _lock(folder):
        if note.exists():
            known = json.loads(note.read_text())
            server = PostgresServer(Path(known["folder"]), known["port"], known["pid"])
            users = known["users"]
        else:
            server, users = new_server(), 0
        _write(note, server, users + 1)
    try:
        yield server
    finally:
        with _lock(folder):
            users = json.loads(note.read_text())["users"] - 1
            if users:
                _write(note, server, users)
            else:
                note.unlink()
                server.remove()


def is_installed() -> bool:
    """Return whether the programs of PostgreSQL are installed."""
    return sys.platform != "win32" and _program("initdb") is not None and _program("pg_ctl") is not None


def pause(pid: int) -> None:
    """Suspend a process of the server until `go_on` is called."""
    os.kill(pid, signal.SIGSTOP)


def go_on(pid: int) -> None:
    """Resume a process that `pause` suspended."""
    os.kill(pid, signal.SIGCONT)


def _write(note: Path, server: PostgresServer, users: int) -> None:
    known = {"folder": str(server.folder), "port": server.port, "pid": server.pid, "users": users}
    note.write_text(json.dumps(known))


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    import fcntl  # noqa: PLC0415 - not on Windows

    with (folder / "postgres.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _program(name: str) -> str | None:
    # Debian has the programs of each version in a folder that is not on the PATH.
    versions = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))  # noqa: PTH207 - absolute
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(reversed(versions)))


def _user() -> str | None:
    """Return the user that runs the server, or None for the user of the tests."""
    if os.getuid() != 0:
        return None
    known = {each.pw_name for each in pwd.getpwall()}
    return next(user for user in USERS if user in known)


def _run(name: str, *arguments: str | Path) -> None:
    program = _program(name)
    assert program is not None
    # The output goes to a file, because the server inherits it: a pipe would stay open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(  # noqa: S603 - the command is fixed
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            user=_user(),
            cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            timeout=START_SECONDS,
            check=False,
        )
        output.seek(0)
        assert done.returncode == 0, output.read().decode(errors="replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
