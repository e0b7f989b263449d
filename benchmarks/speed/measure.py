"""The measurements. Each adds its rows to the report."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import cv2
import numpy as np
from PIL import Image

from benchmarks.speed import peers
from benchmarks.speed.alone import alone_rate
from benchmarks.speed.client import TASK, Client, photo
from benchmarks.speed.load import load
from benchmarks.speed.report import Report, Row
from benchmarks.speed.servers import KEY, Running, emulator, hello, store
from emulator.pipelines.encoding import encode_jpeg

UNITS = {"VENDORS__PERFECTCORP__UNITS": "1000000000", "VENDORS__PERFECTCORP__UNITS_DAYS": "1000"}
ROUNDS = 3


def start(report: Report) -> None:
    """Measure the time from the start of a process to its first response, and what it imports until then."""
    floor, health, call = [], [], []
    for _ in range(9):
        with hello() as server:
            floor.append(1e3 * server.seconds)
        with emulator("/_emulator/health") as server:
            health.append(1e3 * server.seconds)
        with emulator("/s2s/v1.0/client/credit") as server:
            call.append(1e3 * server.seconds)
    report.add(Row("empty FastAPI: spawn to first response", floor, "ms"))
    report.add(
        Row("spawn to first response (health)", health, "ms", "empty FastAPI", floor, "<= 1.3, stretch 1.15")
    )
    report.add(
        Row(
            "spawn to first response (a vendor's call)",
            call,
            "ms",
            "empty FastAPI",
            floor,
            "<= 1.3, stretch 1.15",
        )
    )
    program = (
        "import emulator.deferral; emulator.deferral.defer_models(); "
        "import emulator.cli, emulator.server.serving, emulator.app; emulator.app.create_app()"
    )
    budget = _imports(program)
    common = _imports("import fastapi, uvicorn.main, uvicorn.protocols.http.httptools_impl")
    report.note(
        f"imports until the first response: {sum(budget.values()):.0f} ms; the empty FastAPI and "
        f"uvicorn alone: {sum(common.values()):.0f} ms, with their models for OpenAPI, which the emulator "
        "builds later; what the emulator imports in addition: "
        + ", ".join(f"{name} {ms:.0f}" for name, ms in (budget - common).most_common(8) if ms >= 1)
    )


def _imports(program: str) -> Counter[str]:
    """Return the milliseconds that each top-level package takes to import."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-X", "importtime", "-c", f"import gc; gc.disable(); {program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    found: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        own, _, name = line.removeprefix("import time:").split("|")
        if own.strip().isdecimal():
            found[name.strip().partition(".")[0]] += int(own) / 1000  # type: ignore[assignment]
    return found


def throughput(report: Report) -> None:
    """Measure the requests per second of one process, beside an empty FastAPI and the peers."""
    with ExitStack() as stack:
        floor, smallest = stack.enter_context(hello()), stack.enter_context(store())
        server = stack.enter_context(emulator(**UNITS, WORKERS="1"))
        client = Client(server)
        file_id = client.upload(photo(512))
        task_id = client.create(file_id)
        client.finish(task_id)
        bad = client.upload(b"\xff\xd8" + bytes(500))
        new = '{"files":[{"content_type":"image/jpeg","file_name":"a.jpg","file_size":47437}]}'
        others = peers.start(stack, report, server)
        targets: dict[str, Callable[[], float]] = {
            "empty FastAPI": lambda: load(floor.url).per_second,
            "store": lambda: load(smallest.url, headers=KEY, body=_creation(bad)).per_second,
            "health": lambda: load(f"{server.url}/_emulator/health").per_second,
            "poll": lambda: load(f"{server.url}{TASK}/{task_id}", headers=KEY).per_second,
            "credit": lambda: load(f"{server.url}/s2s/v1.0/client/credit", headers=KEY).per_second,
            "register": lambda: load(f"{server.url}/s2s/v2.0/file", headers=KEY, body=new).per_second,
            "create": lambda: load(f"{server.url}{TASK}", headers=KEY, body=_creation(bad)).per_second,
            "create, and let the tasks wait": _creations_alone,
        }
        for name, peer in others:
            targets[name] = lambda peer=peer: load(peer.target, headers=peer.headers).per_second  # type: ignore[misc]
        found: dict[str, list[float]] = {name: [] for name in targets}
        for _ in range(ROUNDS):
            for name, target in targets.items():
                found[name].append(target())
    base = found["empty FastAPI"]
    report.add(Row("empty FastAPI: requests", base, "/s"))
    report.add(
        Row(
            "polls of a finished task, journal on",
            found["poll"],
            "/s",
            "empty FastAPI",
            base,
            ">= 0.40, stretch 0.60",
        )
    )
    for name in ("credit", "register", "create", "create, and let the tasks wait"):
        aim = ">= 0.30, stretch 0.45"
        report.add(Row(f"calls: {name}", found[name], "/s", "empty FastAPI", base, aim))
    least = found["store"]
    report.add(Row("FastAPI that stores a body in SQLite", least, "/s", "empty FastAPI", base))
    for name in ("register", "create, and let the tasks wait"):
        report.add(Row(f"calls: {name}", found[name], "/s", "FastAPI with SQLite", least))
    report.add(Row("control API: health", found["health"], "/s", "empty FastAPI", base))
    for name, _ in others:
        report.add(Row(f"peer: {name}", found[name], "/s", "empty FastAPI", base))
        report.add(Row(f"polls beside {name}", found["poll"], "/s", name, found[name], "> 1"))


def _creation(file_id: str) -> str:
    """Return the body of a call that creates a task."""
    return f'{{"src_file_id":"{file_id}","version":"1.0","features":{{"eye_size":50}},"global":{{}}}}'


def _creations_alone() -> float:
    """Return the rate of calls that create tasks for a portrait, nearly all of which wait in the queue."""
    with emulator(**UNITS, WORKERS="1") as server:
        file_id = Client(server).upload(photo(512))
        return load(f"{server.url}{TASK}", headers=KEY, body=_creation(file_id)).per_second


def _floor_ms(side: int) -> float:
    """Return the time of decoding, one call of MediaPipe's FaceMesh, one remap, and encoding, on one core."""
    data = photo(side)
    rows, columns = np.mgrid[0:side, 0 : side * 4 // 5].astype(np.float32)
    times = []
    for _ in range(7):
        begun = time.perf_counter()
        image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        if not _face_mesh().process(image).multi_face_landmarks:
            raise RuntimeError("the floor found no face")
        encode_jpeg(np.asarray(cv2.remap(image, columns, rows, cv2.INTER_LINEAR)))
        times.append(1e3 * (time.perf_counter() - begun))
    return float(np.median(times))


@cache
def _face_mesh() -> Any:
    from mediapipe.python.solutions.face_mesh import FaceMesh  # noqa: PLC0415 - takes seconds

    return FaceMesh(static_image_mode=True, max_num_faces=1, refine_landmarks=True)


def pictures(report: Report) -> None:
    """Measure the time of the operations on pictures over HTTP, beside the least work that they need."""
    cv2.setNumThreads(1)
    aims = {
        1024: ("<= 3, stretch 2", "<= 4, stretch 2.5", "<= 2.5, stretch 1.6"),
        2048: ("<= 2.5, stretch 1.8",) * 3,
    }
    with emulator(**UNITS) as server:
        client = Client(server)
        for side, (mesh, head, reshape) in aims.items():
            data = photo(side)
            file_id = client.upload(data)
            work: dict[str, Callable[[], None]] = {
                "3dface": lambda data=data: client.face3d(data),  # type: ignore[misc]
                "run_pipeline": lambda data=data: client.run_pipeline(data),  # type: ignore[misc]
                "reshape": lambda file_id=file_id: client.reshape(file_id),  # type: ignore[misc]
            }
            for each in work.values():
                each()
            times: dict[str, list[float]] = {name: [] for name in (*work, "floor")}
            for _ in range(5):
                times["floor"].append(_floor_ms(side))
                for name, each in work.items():
                    times[name].append(_median_ms(each, 5))
            floor = times["floor"]
            report.add(Row(f"floor: decode, mesh, remap, encode, {side} px", floor, "ms"))
            report.add(Row(f"Face++ 3dface, {side} px", times["3dface"], "ms", "floor", floor, mesh))
            report.add(
                Row(f"MetaHuman run_pipeline, {side} px", times["run_pipeline"], "ms", "floor", floor, head)
            )
            report.add(
                Row(f"reshape, create to success, {side} px", times["reshape"], "ms", "floor", floor, reshape)
            )


def _median_ms(work: Callable[[], None], count: int) -> float:
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - begun))
    return float(np.median(times))


def contention(report: Report) -> None:
    """Measure the latency of polls while all workers reshape large pictures."""
    with emulator(**UNITS) as server:
        client = Client(server)
        task_id = client.create(client.upload(photo(512)))
        client.finish(task_id)
        large = client.upload(photo(4096))
        client.reshape(large)
        url = f"{server.url}{TASK}/{task_id}"
        idle, idle_few, busy, busy_few = [], [], [], []
        for _ in range(ROUNDS):
            idle.append(load(url, headers=KEY).p99_ms)
            idle_few.append(_few_polls(server, task_id))
            with _reshaping(server, large):
                busy.append(load(url, headers=KEY, seconds=6).p99_ms)
                busy_few.append(_few_polls(server, task_id))
    report.add(Row("p99 of polls, 16 connections, idle workers", idle, "ms"))
    report.add(
        Row("p99 of polls, workers reshape 4096 px", busy, "ms", "idle workers", idle, "<= 3, stretch 1.5")
    )
    report.add(Row("p99 of 100 polls/s, idle workers", idle_few, "ms"))
    report.add(Row("p99 of 100 polls/s, workers reshape 4096 px", busy_few, "ms", "idle workers", idle_few))


def _few_polls(server: Running, task_id: str) -> float:
    """Return the 99th percentile of the latency of 100 polls a second, in ms."""
    client = Client(server)
    times = []
    for _ in range(400):
        begun = time.perf_counter()
        client.http.get(f"{TASK}/{task_id}")
        times.append(1e3 * (time.perf_counter() - begun))
        time.sleep(max(0.0, begun + 0.01 - time.perf_counter()))
    return float(np.percentile(times, 99))


@contextmanager
def _reshaping(server: Running, file_id: str) -> Iterator[None]:
    """Keep all workers busy."""
    stop = threading.Event()

    def work() -> None:
        client = Client(server)
        while not stop.is_set():
            client.finish(client.create(file_id), 0.02)

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(work) for _ in range(4)]
        time.sleep(1)
        try:
            yield
        finally:
            stop.set()
            for each in running:
                each.result()


def workers(report: Report) -> None:
    """Measure the pictures per second with one worker and with two, and with processes that have no server.

    The processes without a server show how much of a second core this machine has left.
    """
    rates: dict[int, list[float]] = {1: [], 2: []}
    alone: dict[int, list[float]] = {1: [], 2: []}
    for count in (1, 2, 1, 2, 1, 2):
        alone[count].append(alone_rate(count))
        with emulator(**UNITS, WORKERS=str(count)) as server:
            client = Client(server)
            file_id = client.upload(photo(1024))
            client.reshape(file_id)
            begun = time.perf_counter()
            for task_id in [client.create(file_id) for _ in range(80)]:
                client.finish(task_id, 0.05)
            rates[count].append(80 / (time.perf_counter() - begun))
    report.add(Row("reshapes of 1024 px, one process alone", alone[1], "/s"))
    report.add(Row("reshapes of 1024 px, two processes alone", alone[2], "/s", "one process", alone[1]))
    report.add(Row("reshapes of 1024 px, one worker", rates[1], "/s", "one process", alone[1]))
    report.add(Row("reshapes of 1024 px, two workers", rates[2], "/s", "one worker", rates[1], ">= 1.8"))
    report.add(Row("the same", rates[2], "/s", "two processes alone", alone[2]))


def soak(report: Report) -> None:
    """Measure the memory over 15,000 polls and 900 pictures."""
    with emulator(**UNITS, WORKERS="2") as server:
        client = Client(server)
        file_id = client.upload(photo(512))
        poll = client.create(file_id)
        client.finish(poll)
        memory: list[tuple[float, float]] = []
        for _ in range(9):
            for task_id in [client.create(file_id) for _ in range(100)]:
                client.finish(task_id, 0.02)
            for _ in range(1667):
                client.http.get(f"{TASK}/{poll}")
            own, workers = server.rss_mb()
            memory.append((own, sum(workers) / max(1, len(workers))))
    for name, each in (("server", 0), ("mean of the workers", 1)):
        course = [point[each] for point in memory]
        report.add(Row(f"memory of the {name} after 100 to 900 pictures", course, "MB"))
        growth = 100 * (course[-1] / course[len(course) // 2] - 1)
        report.note(
            f"{name}: {course[0]:.0f} MB after 100 pictures, {course[4]:.0f} MB after 500, "
            f"{course[-1]:.0f} MB after 900: {growth:+.1f} % from 500 to 900; aim < 5 %, stretch 0"
        )


ALL = {
    "start": start,
    "throughput": throughput,
    "pictures": pictures,
    "contention": contention,
    "workers": workers,
    "soak": soak,
}
