"""Workers of tests, which compute the result for a picture once in a test run.

Hundreds of tests send the same few pictures. The way to a worker and back is as in the server, and so is the
first computation. tests/conformance/test_golden.py and test_answers.py compare results with recorded ones, so
they show that a pipeline returns the same result for the same input.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emulator.backends.queue import Pipeline
from emulator.face.errors import FaceError
from emulator.pipelines.warm_up import warm_up as load_face_core

FOLDER = "TESTS_REMEMBERED_RESULTS"
"""The variable that names the folder of the results. All processes of a test run share it."""

WARM_UP: Pipeline[[], None] = Pipeline(f"{__name__}.warm_up")


def variables(folder: Path) -> dict[str, str]:
    """Return the variables for the workers. Without the fixed seed, pickles of equal sets would differ."""
    folder.mkdir(exist_ok=True)
    return {FOLDER: str(folder), "PYTHONHASHSEED": "0"}


def warm_up() -> None:
    """Load the face core, and let this worker remember the results of pipelines for pictures."""
    resolve = Pipeline.resolve

    def remembering(pipeline: Pipeline[..., Any]) -> Callable[..., Any]:
        found = resolve(pipeline)
        return _remembered(pipeline.name, found) if pipeline.name.startswith("emulator.pipelines.") else found

    load_face_core()
    Pipeline.resolve = remembering  # type: ignore[assignment, method-assign]


def _remembered(name: str, compute: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        digest = hashlib.sha256(pickle.dumps((name, args, kwargs))).hexdigest()
        path = Path(os.environ[FOLDER]) / digest
        try:
            result, error = pickle.loads(path.read_bytes())  # noqa: S301 - written below
        except FileNotFoundError:
            result = error = None
            try:
                result = compute(*args, **kwargs)
            except FaceError as refusal:
                error = refusal
            _write(path, pickle.dumps((result, error)))
        if error is not None:
            raise error
        return result

    return run


def _write(path: Path, data: bytes) -> None:
    """Write a file at once, because another process may read it now."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    Path(file.name).replace(path)
