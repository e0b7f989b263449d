"""The metrics, and ``read_metrics``, which returns their current values."""

from __future__ import annotations

from collections import Counter
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
    "Tasks of all credentials in the database, by state. Servers that share a database all report the same "
    "number.",
    ("state",),
)
TASKS_WAITING = Metric(
    "face_emulator_tasks_waiting",
    "gauge",
    "Tasks that no server or worker has started. Servers that share a database all report the same number.",
)
DELIVERIES = Metric(
    "face_emulator_webhook_deliveries_unfinished",
    "gauge",
    "Webhook deliveries that have not ended, by state: `prepared`, `held` or `waiting`. Servers that share a "
    "database all report the same number.",
    ("state",),
)
REPLICAS = Metric(
    "face_emulator_replicas",
    "gauge",
    "Servers and workers that use the same database and are alive, by role: `server` or `worker`. "
    "Without a shared database (`FACE_EMULATOR_DATABASE_URL`), this metric is missing.",
    ("role",),
)
DATABASE_UP = Metric(
    "face_emulator_database_up",
    "gauge",
    "1 if the database could be read for this response, otherwise 0. With 0, the metrics of tasks, "
    "deliveries and replicas are missing.",
)
WORKERS = Metric("face_emulator_workers", "gauge", "Configured number of worker processes.")
WORKERS_ALIVE = Metric(
    "face_emulator_workers_alive", "gauge", "Worker processes that are alive and have loaded the face core."
)
QUEUE_LENGTH = Metric("face_emulator_queue_length", "gauge", "Work items that wait for a worker process.")
QUEUE_WAIT_SECONDS = Metric(
    "face_emulator_queue_wait_seconds",
    "histogram",
    "Time that a work item waited for a worker process. If the process dies, the item waits again, and is "
    "counted again.",
)
WORK_SECONDS = Metric(
    "face_emulator_work_duration_seconds",
    "histogram",
    "Time that a worker process took for a work item, until it replied or died, by pipeline.",
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
    TASKS_WAITING,
    DELIVERIES,
    REPLICAS,
    DATABASE_UP,
    WORKERS,
    WORKERS_ALIVE,
    QUEUE_LENGTH,
    QUEUE_WAIT_SECONDS,
    WORK_SECONDS,
    JOURNAL_CALLS,
    JOURNAL_BYTES,
)
"""All metrics, in the order of the response. The metrics of the process follow them in the response."""

Values = Mapping[Any, float | Histogram]
"""The values of a metric, by a tuple with the values of its labels."""

Reading = Mapping[Metric, Values]
"""All metrics with their values at one moment."""


async def read_metrics(world: World) -> Reading:
    """Return the current values of all metrics."""
    stored: dict[Metric, Values] = {metric: {} for metric in (TASKS, TASKS_WAITING, DELIVERIES, REPLICAS)}
    is_up = True
    try:
        stored = await _read_database(world)
        await world.journal.catch_up()
    except StoreUnavailable:
        is_up = False
    load = world.queue.load()
    return {
        **stored,
        CALLS: world.call_counts.by_status(),
        CALL_SECONDS: world.call_counts.durations(),
        FAULTS: dict(world.faults.fired),
        WEBHOOK_ATTEMPTS: {
            (vendor, result): world.webhooks.attempted[vendor, result]
            for vendor in world.webhooks.endpoints.sources
            for result in AttemptResult
        },
        DATABASE_UP: {(): int(is_up)},
        WORKERS: {(): load.workers},
        WORKERS_ALIVE: {(): load.alive},
        QUEUE_LENGTH: {(): load.waiting},
        QUEUE_WAIT_SECONDS: {(): load.waits},
        WORK_SECONDS: {(pipeline,): histogram for pipeline, histogram in load.works.items()},
        JOURNAL_CALLS: {(): world.journal.held_calls},
        JOURNAL_BYTES: {(): world.journal.held_bytes},
    }


async def _read_database(world: World) -> dict[Metric, Values]:
    """Return the values that are the same at all servers that share a database."""
    replicas = await world.replicas.registered()
    roles = Counter(replica.role for replica in replicas or ())
    return {
        TASKS: {(state,): count for state, count in (await world.tasks.count()).items()},
        TASKS_WAITING: {(): (await world.queue.backlog()).waiting},
        DELIVERIES: {(str(state),): count for state, count in (await world.webhooks.unfinished()).items()},
        REPLICAS: {(role,): roles[role] for role in ("server", "worker")} if replicas is not None else {},
    }
