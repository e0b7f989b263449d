"""The emulator that all processes of a pytest run share."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from face_api_emulator.client import Client
    from face_api_emulator.client.models import Costs

START_SECONDS = 180.0
"""Real seconds from the start of an emulator until it must be ready. This can include its download."""

STOP_SECONDS = 10.0
"""Real seconds that the emulator has to stop after SIGTERM, before it is killed."""

STATE, PROCESS, LOG, COSTS = "server.json", "process", "server.log", "costs.json"

OWN_SETTINGS = ("FACE_EMULATOR_CONTROL", "FACE_EMULATOR_CONTROL_PORT", "FACE_EMULATOR_DATA_DIR")
"""Variables that are not passed on to the emulator. Tests need the control API, and must not use a data
folder.
"""

LAST_LINES = 40
"""Number of lines to show from the end of the emulator's output."""

STARTERS = {
    "uvx": "uvx --python 3.12 --from face-api-emulator[server]=={version} face-emulator "
    "serve --port {port} --tls={tls_port} --until-process {process}",
    "docker": "docker run --rm --publish 127.0.0.1:{port}:{port} --publish 127.0.0.1:{tls_port}:{tls_port} "
    "--env FACE_EMULATOR_CONTROL=on --add-host host.docker.internal:host-gateway "
    "{image} face-emulator serve --host 0.0.0.0 --port {port} --tls={tls_port}",
}
"""Commands that start an emulator outside of this environment. ``uvx`` gets this version of the emulator."""

MISSING = (
    "the emulator is not installed in this environment, which has only its client: install "
    "`face-api-emulator[server]` (Python 3.11 or 3.12), or set `face_emulator_start = uvx` (or `docker`) in "
    "pytest's ini file, or pass --face-emulator-url"
)


class CannotStart(Exception):
    """The emulator cannot be started; the message says why and what to do."""


@dataclass(frozen=True)
class FaceEmulatorServer:
    """A running emulator.

    Attributes
    ----------
    base_url : str
        Base URL, without a trailing slash.
    """

    base_url: str


class SharedServer:
    """An emulator that all processes of a run share. The first process that needs one starts it.

    The main process of pytest stops the emulator.

    Parameters
    ----------
    folder : Path or None
        Folder that all processes of the run share. With None, a temporary folder is created when it is
        needed.
    owner : int
        Process id of pytest's main process. The emulator stops when that process has ended.
    start : str
        ``auto``, the name of one of ``STARTERS``, or another command with the same placeholders.
    image : str
        Container image for ``docker``.
    """

    def __init__(self, folder: Path | None, owner: int, start: str, image: str) -> None:
        self._folder = folder
        self._owner = owner
        self._start = start
        self._image = image

    @property
    def folder(self) -> Path:
        """The folder that all processes of the run share."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="face-emulator-"))
        return self._folder

    def running(self) -> FaceEmulatorServer | None:
        """Return the emulator if one was started."""
        file = None if self._folder is None else self._folder / STATE
        if file is None or not file.exists():
            return None
        return FaceEmulatorServer(**json.loads(file.read_text()))

    def open(self) -> FaceEmulatorServer:
        """Return the emulator, and start it if no process has done so.

        Raises
        ------
        CannotStart
            If the emulator is not installed, or does not become ready.
        """
        with _locked(self.folder / "lock"):
            found = self.running()
            if found is None:
                found = self._launch()
                (self.folder / STATE).write_text(json.dumps(asdict(found)))
        return found

    def keep_costs(self, read: Callable[[], Costs | None]) -> None:
        """Store the costs from before the run, as returned by ``read``. Only the first call stores them."""
        file = self.folder / COSTS
        with _locked(self.folder / "lock"):
            if not file.exists():
                costs = read()
                file.write_text("null" if costs is None else json.dumps(asdict(costs)))

    def costs(self) -> Costs | None:
        """Return the costs from before the run, or None if they were not read."""
        file = None if self._folder is None else self._folder / COSTS
        document = json.loads(file.read_text()) if file is not None and file.exists() else None
        if document is None:
            return None
        from face_api_emulator.client.models import Costs, OperationCost  # noqa: PLC0415 - as in open

        operations = [OperationCost(**cost) for cost in document.pop("operations")]
        return Costs(operations=operations, **document)

    def stop(self) -> None:
        """Stop the emulator if one was started."""
        if self._folder is None:
            return
        file = self._folder / PROCESS
        if file.exists():
            _end(int(file.read_text()))
            file.unlink()

    def output(self) -> str:
        """Return the last lines of the emulator's output, without lines about calls of the control API."""
        file = self.folder / LOG
        lines = file.read_text(errors="replace").splitlines() if file.exists() else []
        return "\n".join([line for line in lines if "/_emulator/" not in line][-LAST_LINES:])

    def remove_folder(self) -> None:
        """Remove the folder that the processes of the run shared."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _launch(self) -> FaceEmulatorServer:
        """Start the emulator, wait until it is ready, and return it."""
        from face_api_emulator.client import Client  # noqa: PLC0415 - only runs that need an emulator import it

        port, tls_port = _free_ports(2)
        log = self.folder / LOG
        command = self._command(port, tls_port)
        environment = {name: value for name, value in os.environ.items() if name not in OWN_SETTINGS}
        with log.open("wb") as output, _interrupts_later():
            try:
                process = subprocess.Popen(  # noqa: S603 - our own command, or the user's
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    env=environment,
                )
            except OSError as error:
                raise CannotStart(f"cannot run {command[0]}: {error.strerror}") from error
            # The main process reads this file to end the emulator, even if this process is interrupted.
            (self.folder / PROCESS).write_text(str(process.pid))
        server = FaceEmulatorServer(f"http://127.0.0.1:{port}")
        with Client(server.base_url) as client:
            until = time.monotonic() + START_SECONDS
            while not _is_ready(client):
                if process.poll() is not None or time.monotonic() > until:
                    _end(process.pid)
                    reason = "ended" if process.returncode is not None else "was not ready in time"
                    raise CannotStart(f"the emulator {reason}: {shlex.join(command)}\n{self.output()}")
                time.sleep(0.02)
        # Another process may end the emulator. Without a return code, Popen would warn that it is still
        # running.
        process.returncode = 0
        return server

    def _command(self, port: int, tls_port: int) -> list[str]:
        if self._start == "auto":
            from face_api_emulator.installed import has_server  # noqa: PLC0415 - as above

            if not has_server():
                raise CannotStart(MISSING)
            # With ``-P``, modules in the folder of the tests cannot hide the emulator's modules of the same
            # names.
            own = [sys.executable, "-P", "-m", "emulator", "serve", "--port", str(port), f"--tls={tls_port}"]
            return [*own, "--until-process", str(self._owner)]
        from importlib.metadata import version  # noqa: PLC0415 - as above

        template = STARTERS.get(self._start, self._start)
        try:
            return shlex.split(
                template.format(
                    port=port,
                    tls_port=tls_port,
                    process=self._owner,
                    version=version("face-api-emulator"),
                    image=self._image,
                )
            )
        except (KeyError, IndexError, ValueError) as error:
            raise CannotStart(f"face_emulator_start is invalid: {template} ({error!r})") from error


@contextlib.contextmanager
def _interrupts_later() -> Iterator[None]:
    """Handle Ctrl+C only after the block, so that it cannot be left between two statements.

    Blocking the signal would not do, because a process that starts in the block would inherit that.
    """
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return
    arrived: list[FrameType | None] = []
    signal.signal(signal.SIGINT, lambda _number, frame: arrived.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if arrived:
            usual(signal.SIGINT, arrived[0])


def _is_ready(client: Client) -> bool:
    from face_api_emulator.client import ControlError, EmulatorUnreachable  # noqa: PLC0415 - as above

    try:
        return client.ready()
    except (EmulatorUnreachable, ControlError):
        return False


def _free_ports(count: int) -> Sequence[int]:
    """Return ports that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes: a file that only one process can create. This works on every system."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            path.touch(exist_ok=False)
            break
        except FileExistsError:
            if time.monotonic() > until:
                raise CannotStart("another process of this run did not start the emulator in time") from None
            time.sleep(0.05)
    try:
        yield
    finally:
        path.unlink()


def _end(process: int) -> None:
    """Stop a process and its children with SIGTERM. If they do not stop in time, kill them."""
    if sys.platform == "win32":
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGTERM)  # ends it at once
        return
    for number, seconds in (
        (signal.SIGTERM, STOP_SECONDS),
        (signal.SIGKILL, 1.0),
    ):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process, number)
        until = time.monotonic() + seconds
        while _is_alive(process):
            if time.monotonic() >= until:
                break
            time.sleep(0.02)
        else:
            return


def _is_alive(process: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        # A child of this process stays a zombie until ``waitpid`` is called.
        os.waitpid(process, os.WNOHANG)
    try:
        os.kill(process, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
