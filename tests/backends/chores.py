"""Functions that the workers of test_queue and test_pool import by name."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emulator.backends.queue.protocol import Pipeline
from emulator.face.errors import FaceTooSmall, RefusedImage
from emulator.parallel import later


def do_nothing() -> None:
    pass


def refuse_to_warm_up() -> None:
    raise RuntimeError("no model")


def refuse() -> None:
    raise RefusedImage(1, FaceTooSmall(0.04, 0.05))


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(marker: Path) -> str:
    if not marker.exists():
        marker.touch()
        die()
    return "alive"


def stop(_seconds: float) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def stop_once(marker: Path) -> str:
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    return "alive"


def fail_once(marker: Path, how: str) -> str:
    """Die, or sleep for ever, at the first call."""
    if not marker.exists():
        marker.touch()
        die() if how == "die" else time.sleep(1000)
    return "alive"


def note(folder: Path, name: str, seconds: float, deadly: str) -> int:
    """Return how many of these works run at the same time, at least once at the end.

    The first call with the name ``deadly`` dies after it has begun.
    """
    running = folder / f"{name}.running"
    running.touch()
    time.sleep(seconds)
    if name == deadly and not (folder / "died").exists():
        (folder / "died").touch()
        running.unlink()
        die()
    found = len(list(folder.glob("*.running")))
    running.unlink()
    return found


def has_second_thread(begun: Path | None, go: Path | None) -> bool:
    """Make ``begun``, and wait until ``go`` exists. Return whether `later` uses another thread."""
    if begun is not None and go is not None:
        begun.touch()
        while not go.exists():
            time.sleep(0.002)
    return later(threading.get_ident)() != threading.get_ident()


def touch_after(go: Path, marker: Path) -> None:
    """Wait until ``go`` exists, and then make ``marker``."""
    while not go.exists():
        time.sleep(0.002)
    marker.touch()


def return_function() -> object:
    return lambda: None


def raise_unpicklable() -> None:
    error = ValueError("it has a lock")
    error.lock = threading.Lock()  # type: ignore[attr-defined]
    raise error


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def print_noise() -> str:
    os.write(1, b"noise of a native library")
    print("noise of Python", flush=True)  # noqa: T201 - the purpose
    return "quiet"


def arm() -> None:
    """Wait while the file GATE exists. From now on, a work with the bytes ``deadly`` kills this worker."""
    gate = os.environ.get("GATE")
    while gate is not None and Path(gate).exists():
        time.sleep(0.005)
    resolve = Pipeline.resolve

    def resolve_armed(pipeline: Pipeline[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            if b"deadly" in pickle.dumps(args):
                die()
            return resolve(pipeline)(*args)

        return run

    Pipeline.resolve = resolve_armed  # type: ignore[method-assign, assignment]


def die_at_first() -> None:
    die_once(Path(os.environ["MARKER"]))


def die_when_told(go: Path, marker: Path) -> None:
    while not go.exists():
        time.sleep(0.002)
    die_once(marker)
