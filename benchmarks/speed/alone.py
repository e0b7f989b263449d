"""Reshapes in processes without a server, as a reference for the worker processes of a server."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor

from benchmarks.speed.client import photo
from emulator.arithmetic import arithmetic_variables
from emulator.face.reshape_parameters import ReshapeParameters
from emulator.pipelines.options import ImageRules, ReshapeOptions
from emulator.pipelines.reshape import reshape_picture
from emulator.pipelines.warm_up import warm_up

SIDE = 1024
COUNT = 80
# As in `client.FEATURES`.
PARAMETERS = ReshapeParameters(eye_size_left=0.5, eye_size_right=0.5, jaw=0.4, lip_size=0.3)


def alone_rate(processes: int) -> float:
    """Return the reshapes per second of processes that do nothing else."""
    # As in the worker processes of a server: with more threads, OpenBLAS is slower.
    os.environ.update(arithmetic_variables())
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, warm_up) as pool:
        shares = [COUNT // processes] * processes
        list(pool.map(_reshape, [2] * processes))  # until all processes are ready
        begun = time.perf_counter()
        list(pool.map(_reshape, shares))
        return COUNT / (time.perf_counter() - begun)


def _reshape(count: int) -> None:
    data = photo(SIDE)
    options = ReshapeOptions(ImageRules(frozenset({"jpeg"})), 0, PARAMETERS, 0.0, 0.0, 0.05, 89.0)
    for _ in range(count):
        reshape_picture(data, options)
