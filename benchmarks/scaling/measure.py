"""The measurements. Each adds its rows to the report."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

import numpy as np

from benchmarks.scaling.fleet import Stores, server, worker
from benchmarks.scaling.model import OTHER_POLL
from benchmarks.scaling.usage import cpu_seconds
from benchmarks.speed.client import TASK, Client, photo
from benchmarks.speed.load import load_all
from benchmarks.speed.report import Report, Row
from benchmarks.speed.servers import KEY, Running

ROUNDS: Final = 3

PICTURES: Final = 80
"""Number of pictures in a round."""

EMBEDDED: Final = "embedded"
"""Name of a server without a database in the rows."""


def polls(report: Report, stores: Stores) -> None:
    """Measure polls of a finished task with one and two servers, and the processor time of a poll."""
    with ExitStack() as stack:
        one = [stack.enter_context(server())]
        shared = stack.enter_context(stores.empty())
        two = [stack.enter_context(server(shared)) for _ in range(2)]
        quiet = {**stack.enter_context(stores.empty()), "FACE_EMULATOR_JOURNAL_CALLS": "0"}
        silent = [stack.enter_context(server(quiet)) for _ in range(2)]
        groups = {EMBEDDED: one, "1 server": two[:1], "2 servers": two, "2 servers, no journal": silent}
        urls = {name: _poll_urls(servers) for name, servers in groups.items()}
        rates: dict[str, list[float]] = {name: [] for name in groups}
        slowest: dict[str, list[float]] = {name: [] for name in groups}
        of_servers: dict[str, list[float]] = {name: [] for name in groups}
        of_database: dict[str, list[float]] = {name: [] for name in groups}
        of_other: list[float] = []
        for _ in range(ROUNDS):
            for name, servers in groups.items():
                roots = [each.process for each in servers]
                other = [each.process for each in two if name == "1 server" and each not in servers]
                before = cpu_seconds(roots), cpu_seconds([stores.root]), cpu_seconds(other)
                begun = time.perf_counter()
                found = load_all(urls[name], headers=KEY)
                calls = found.per_second * (time.perf_counter() - begun)
                rates[name].append(found.per_second)
                slowest[name].append(found.p99_ms)
                of_servers[name].append(1e3 * (cpu_seconds(roots) - before[0]) / calls)
                of_database[name].append(1e3 * (cpu_seconds([stores.root]) - before[1]) / calls)
                if other:
                    of_other.append(1e3 * (cpu_seconds(other) - before[2]) / calls)
        earlier = stores.commits()
        count = 2 * load_all(urls["1 server"], headers=KEY, seconds=2).per_second
        commits = (stores.commits() - earlier) / count
    for name in groups:
        report.add(Row(f"polls: {name}", rates[name], "/s", *_floor(name, rates)))
    for name in groups:
        report.add(Row(f"p99 of polls: {name}", slowest[name], "ms", *_floor(name, slowest)))
    for name in groups:
        report.add(Row(f"processor time of a server per poll: {name}", of_servers[name], "ms"))
    report.add(Row(OTHER_POLL, of_other, "ms"))
    for name in groups:
        if name != EMBEDDED:
            report.add(Row(f"processor time of the database per poll: {name}", of_database[name], "ms"))
    report.add(Row("commits of the database per poll: 1 server", [commits], ""))


def _floor(name: str, found: Mapping[str, Sequence[float]]) -> tuple[str, Sequence[float]]:
    return ("", ()) if name == EMBEDDED else (EMBEDDED, found[EMBEDDED])


def _poll_urls(servers: Sequence[Running]) -> list[str]:
    client = Client(servers[0])
    task_id = client.create(client.upload(photo(512)))
    client.finish(task_id)
    return [f"{each.url}{TASK}/{task_id}" for each in servers]


def pictures(report: Report, stores: Stores) -> None:
    """Measure reshapes per second with servers and workers, and the processor time of a reshape."""
    groups = {
        EMBEDDED: (0, 0),
        "1 server": (1, 0),
        "1 server, 1 worker": (1, 1),
        "1 server, 2 workers": (1, 2),
        "2 servers, 1 worker": (2, 1),
        "2 servers, 2 workers": (2, 2),
    }
    rates: dict[str, list[float]] = {name: [] for name in groups}
    parts = ("servers and workers", "the database", "the store")
    costs: dict[str, list[float]] = {name: [] for name in parts}
    commits = []
    for _ in range(ROUNDS):
        for name, (servers, workers) in groups.items():
            with ExitStack() as stack:
                variables = stack.enter_context(stores.empty()) if servers else {}
                found = [stack.enter_context(server(variables)) for _ in range(servers or 1)]
                processes = [each.process for each in found]
                processes += [stack.enter_context(worker(variables)) for _ in range(workers)]
                _reshape_all(found, 2 * len(processes))
                if (servers, workers) != (1, 1):
                    rates[name].append(PICTURES / _reshape_all(found, PICTURES))
                    continue
                of_parts = dict(zip(parts, (processes, [stores.root], [stores.objects.process]), strict=True))
                earlier = stores.commits()
                before = {part: cpu_seconds(each) for part, each in of_parts.items()}
                rates[name].append(PICTURES / _reshape_all(found, PICTURES))
                for part, each in of_parts.items():
                    costs[part].append(1e3 * (cpu_seconds(each) - before[part]) / PICTURES)
                commits.append((stores.commits() - earlier) / PICTURES)
    for name in groups:
        report.add(Row(f"pictures: {name}", rates[name], "/s", *_floor(name, rates)))
    for part, times in costs.items():
        report.add(Row(f"processor time of {part} per picture", times, "ms"))
    report.add(Row("commits of the database per picture", commits, ""))


def _reshape_all(servers: Sequence[Running], count: int) -> float:
    """Create tasks at the servers in turns, wait for all of them, and return the seconds that this took."""
    clients = [Client(each) for each in servers]
    file_id = clients[0].upload(photo(1024))
    begun = time.perf_counter()
    turns = itertools.cycle(clients)
    created = [next(turns).create(file_id) for _ in range(count)]
    for task_id in created:
        data = next(turns).finish(task_id, 0.02)
        if data["task_status"] != "success":
            raise RuntimeError(f"the reshape has failed: {data}")
    return time.perf_counter() - begun


def queue(report: Report, stores: Stores) -> None:
    """Measure the time from the creation of a task until its work starts, while the queue is empty."""
    delays: dict[str, list[float]] = {}
    with ExitStack() as stack:
        variables = stack.enter_context(stores.empty())
        groups = {EMBEDDED: stack.enter_context(server()), "1 server": stack.enter_context(server(variables))}
        for name, running in groups.items():
            delays[name] = _delays(running)
        stack.enter_context(worker(variables))
        delays["1 server, 1 worker"] = _delays(groups["1 server"])
    for name, found in delays.items():
        for percentile in (50, 95):
            value = float(np.percentile(found, percentile))
            report.add(Row(f"enqueue to start, p{percentile}: {name}", [value], "ms"))


def _delays(running: Running, count: int = 100) -> list[float]:
    client = Client(running)
    file_id = client.upload(photo(512))
    created = []
    for _ in range(count):
        created.append(client.create(file_id))
        client.finish(created[-1], 0.005)
    listed = {each["id"]: each for each in client.http.get("/_emulator/tasks").raise_for_status().json()}
    tasks = [listed[task_id] for task_id in created]
    return [1e3 * (task["started_at"] - task["created_at"]) for task in tasks]


def database(report: Report, stores: Stores) -> None:
    """Measure how long a call waits for the changes of other servers, and how fast records are written."""
    with stores.empty() as variables:
        asyncio.run(_database(report, stores, variables["FACE_EMULATOR_DATABASE_URL"]))


async def _database(report: Report, stores: Stores, url: str) -> None:
    from emulator.backends.records.postgres import PostgresRecords  # noqa: PLC0415 - needs the driver

    processes = [PostgresRecords(url) for _ in range(2)]
    for each in processes:
        await each.open()
    first = processes[0]
    try:
        alone = await _times(first.catch_up, 2000)
        busy = await _times(first.catch_up, 4000, at_once=16)
        for name, times in (("one call at a time", alone), ("16 calls at a time", busy)):
            for percentile in (50, 95):
                value = float(np.percentile(times, percentile))
                report.add(Row(f"catch_up, p{percentile}: {name}", [value], "ms"))
        numbers = itertools.count()

        def writing(turns: Sequence[PostgresRecords]) -> Callable[[], Awaitable[object]]:
            async def write() -> None:
                number = next(numbers)
                document = {"number": number, "text": "x" * 300}
                await turns[number % len(turns)].put("benchmark", str(number % 1000), "k", document)

            return write

        async def written(turns: Sequence[PostgresRecords], at_once: int) -> float:
            begun = time.perf_counter()
            await _times(writing(turns), 1000, at_once=at_once)
            return 1000 / (time.perf_counter() - begun)

        rates: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            rates.setdefault("1 connection", []).append(await written([first], 1))
            rates.setdefault("12 connections", []).append(await written(processes, 12))
            with stores.without_waiting_for_the_disk():
                rates.setdefault("12 connections, fsync off", []).append(await written(processes, 12))
        base = rates["1 connection"]
        for name, found in rates.items():
            floor = () if found is base else ("1 connection", base)
            report.add(Row(f"records written to the database: {name}", found, "/s", *floor))
    finally:
        for each in processes:
            await each.close()


async def _times(call: Callable[[], Awaitable[object]], count: int, *, at_once: int = 1) -> list[float]:
    """Return the times of calls in ms."""
    left = itertools.repeat(None, count)
    times: list[float] = []

    async def some() -> None:
        for _ in left:
            begun = time.perf_counter()
            await call()
            times.append(1e3 * (time.perf_counter() - begun))

    await asyncio.gather(*(some() for _ in range(at_once)))
    return times


ALL = {"polls": polls, "pictures": pictures, "queue": queue, "database": database}
