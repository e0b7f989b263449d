"""Latency of polls while worker threads or worker processes compute pictures.

``python -m benchmarks.workers`` prints the table behind the choice of processes in
``emulator/backends/queue/pool.py``. The row "idle" is the same measurement without load.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np

from emulator.face.reshape_parameters import ReshapeParameters
from emulator.face.synthetic import SyntheticFaceSpec, render_face
from emulator.pipelines.encoding import encode_jpeg
from emulator.pipelines.options import DescriptionOptions, ImageRules, ReshapeOptions
from emulator.pipelines.reconstruct import describe_head
from emulator.pipelines.reshape import reshape_picture
from emulator.pipelines.warm_up import warm_up

RULES = ImageRules(frozenset({"jpeg"}))
RESHAPE = ReshapeOptions(RULES, 0, ReshapeParameters(jaw=0.5, lip_size=0.4), 0.5, 0.5, 0.05, 89.0)
DESCRIBE = DescriptionOptions(RULES, 768, 2 * 1024 * 1024)
SECONDS = 6.0
WORKERS = 2


def work(photo: bytes) -> None:
    """Do one reshape and one reconstruction."""
    reshape_picture(photo, RESHAPE)
    describe_head(photo, DESCRIBE)


async def wake_ups(seconds: float) -> list[float]:
    """Return the delays of many short sleeps, in ms. A poll would wait this long for the event loop."""
    late, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        await asyncio.sleep(0.002)
        late.append((time.perf_counter() - began - 0.002) * 1000)
    return late


async def measure(pool: Executor, photo: bytes) -> tuple[list[float], float]:
    """Return the delays in ms under load, and the calls of `work` per second."""
    loop = asyncio.get_running_loop()
    done = 0
    stop = time.perf_counter() + SECONDS

    async def keep_busy() -> None:
        nonlocal done
        while time.perf_counter() < stop:
            await loop.run_in_executor(pool, work, photo)
            done += 1

    async with asyncio.TaskGroup() as group:
        late = group.create_task(wake_ups(SECONDS))
        for _ in range(WORKERS):
            group.create_task(keep_busy())
    return late.result(), done / SECONDS


def report(name: str, late: list[float], rate: float | None) -> None:
    """Print one row."""
    p50, p99, worst = np.percentile(late, [50, 99, 100])
    print(f"{name:<10} {p50:8.2f} {p99:8.2f} {worst:8.2f}   {f'{rate:8.2f}' if rate else '       -'}")  # noqa: T201 - a table is the purpose


def main() -> None:
    """Print the table."""
    photo = encode_jpeg(render_face(SyntheticFaceSpec(seed=7, width=1024, height=1024)).image)
    pools: dict[str, Callable[[], Executor]] = {
        "threads": lambda: ThreadPoolExecutor(WORKERS, initializer=warm_up),
        "processes": lambda: ProcessPoolExecutor(WORKERS, get_context("spawn"), warm_up),
    }
    print(f"{'':<10} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}   {'work/s':>8}")  # noqa: T201 - a table is the purpose
    report("idle", asyncio.run(wake_ups(2)), None)
    for name, make in pools.items():
        with make() as pool:
            for future in [pool.submit(work, photo) for _ in range(2 * WORKERS)]:
                future.result()
            report(name, *asyncio.run(measure(pool, photo)))


if __name__ == "__main__":
    main()
