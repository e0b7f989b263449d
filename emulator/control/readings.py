"""The metrics, and ``read_metrics``, which returns their current values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from emulator.backends.unavailable import StoreUnavailable
from emulator.durations import Histogram
from emulator.webhooks.delivery import AttemptResult
from emulator.world.world import World


@dataclass(frozen=True)
class Metric:
    """A metric, which has a value for each combination of its labels.

    Attributes
    ----------
    name, kind, labels
        The name, the type and the labels of the metric, in Prometheus's sense.
    text : str
        What the metric means.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: tuple[str, ...] = ()


CALLS = Metric(
    "face_emulator_calls_total",
    "counter",
    "Calls, by the vendor, the operation and the status of the response. The operation is `none` for a path "
    "or a method that is not served, and the status is `none` if there was no response. The vendor is "
    "`proxy` for requests to the proxy for another host, and `server` for requests that the server refused "
    "and that belong to no vendor. Requests to the control API are not counted.",
    ("vendor", "operation", "status"),
)
CALL_SECONDS = Metric(
    "face_emulator_call_duration_seconds",
    "histogram",
    "Time from the headers of a request until the last part of its response was ready to be sent. It "
    "includes the latency of a fault.",
    ("vendor", "operation"),
)
FAULTS = Metric(
    "face_emulator_faults_fired_total",
    "counter",
    "Faults injected into calls and webhooks, by what requested the fault: `rule`, `header` or `credential`.",
    ("vendor", "source"),
)
WEBHOOK_ATTEMPTS = Metric(
    "face_emulator_webhook_attempts_total",
    "counter",
    "Attempts to send a webhook, by result: `accepted` (a status from 200 to 299), `refused` (another "
    "status) or `unanswered` (no response).",
    ("vendor", "result"),
)
TASKS = Metric(
    "face_emulator_tasks",
    "gauge",
    "Tasks in the database, of all credentials, by state. Servers that share a database all report the same "
    "number.",
    ("state",),
)
DATABASE_UP = Metric(
    "face_emulator_database_up",
    "gauge",
    "1 if the database could be read for this response, otherwise 0. If 0, `face_emulator_tasks` can be "
    "missing.",
)
WORKERS = Metric("face_emulator_workers", "gauge", "Configured number of workers.")
WORKERS_ALIVE = Metric(
    "face_emulator_workers_alive", "gauge", "Workers that are alive and have loaded the face core."
)
QUEUE_LENGTH = Metric("face_emulator_queue_length", "gauge", "Pipelines that wait for a worker.")
QUEUE_WAIT_SECONDS = Metric(
    "face_emulator_queue_wait_seconds",
    "histogram",
    "Time that a pipeline waited for a worker. A pipeline that is run again because its worker died counts "
    "again.",
)
WORK_SECONDS = Metric(
    "face_emulator_work_duration_seconds",
    "histogram",
    "Time that a worker ran a pipeline, until it replied or died, by the name of the pipeline.",
    ("pipeline",),
)
JOURNAL_CALLS = Metric("face_emulator_journal_calls", "gauge", "Calls in the journal.")
JOURNAL_BYTES = Metric("face_emulator_journal_bytes", "gauge", "Approximate memory of the journal.")

METRICS = (
    CALLS,
    CALL_SECONDS,
    FAULTS,
    WEBHOOK_ATTEMPTS,
    TASKS,
    DATABASE_UP,
    WORKERS,
    WORKERS_ALIVE,
    QUEUE_LENGTH,
    QUEUE_WAIT_SECONDS,
    WORK_SECONDS,
    JOURNAL_CALLS,
    JOURNAL_BYTES,
)
"""All metrics, in the order in which they are written. The metrics of the process follow them."""

Values = Mapping[Any, float | Histogram]
"""The values of a metric, by a tuple with the values of its labels."""

Reading = Mapping[Metric, Values]
"""All metrics with their values at one moment."""


async def read_metrics(world: World) -> Reading:
    """Return the current values of all metrics."""
    tasks: dict[tuple[str], int] = {}
    is_up = True
    try:
        tasks = {(state,): count for state, count in (await world.tasks.count()).items()}
        await world.journal.catch_up()
    except StoreUnavailable:
        is_up = False
    load = world.queue.load()
    return {
        CALLS: world.call_counts.by_status(),
        CALL_SECONDS: world.call_counts.durations(),
        FAULTS: dict(world.faults.fired),
        WEBHOOK_ATTEMPTS: {
            (vendor, result): world.webhooks.attempted[vendor, result]
            for vendor in world.webhooks.endpoints.sources
            for result in AttemptResult
        },
        TASKS: tasks,
        DATABASE_UP: {(): int(is_up)},
        WORKERS: {(): load.workers},
        WORKERS_ALIVE: {(): load.alive},
        QUEUE_LENGTH: {(): load.waiting},
        QUEUE_WAIT_SECONDS: {(): load.waits},
        WORK_SECONDS: {(pipeline,): histogram for pipeline, histogram in load.works.items()},
        JOURNAL_CALLS: {(): world.journal.held_calls},
        JOURNAL_BYTES: {(): world.journal.held_bytes},
    }
