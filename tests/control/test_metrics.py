"""The metrics, read with the parsers of Prometheus's client library."""

from __future__ import annotations

import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import httpx
import pytest
import yaml
from documents import DOCS, blocks_of
from prometheus_client import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse
from prometheus_client.samples import Sample

from emulator.backends.queue.pool import WorkerPool
from emulator.backends.queue.protocol import Pipeline
from emulator.backends.unavailable import StoreUnavailable
from emulator.control.readings import METRICS
from emulator.server import Listening, running_server
from emulator.settings import Settings

METRICS_PATH = "/_emulator/metrics"
CREDIT = "/s2s/v1.0/client/credit"
TASK = "/s2s/v2.0/task/face-reshape"
BODY = {"src_file_url": "http://127.0.0.1:9/a.jpg", "version": "1.0", "features": {"jaw": 1}, "global": {}}
CHORES = Path(__file__).parents[1] / "backends"
TOUCH_AFTER: Pipeline[[Path, Path], None] = Pipeline("chores.touch_after")
DO_NOTHING: Pipeline[[], None] = Pipeline("chores.do_nothing")
UNFINISHED = ("prepared", "held", "waiting")
SECRET = "sk-never-in-a-label"  # noqa: S105 - it must not appear

Eventually = Callable[[Callable[[], object]], Any]


class Emulator(NamedTuple):
    """A server whose numbers no other test changes, and its one worker, which loads no models."""

    client: httpx.Client
    pool: WorkerPool
    server: Listening

    def samples(self) -> Counter[str]:
        """Return the values of all samples but buckets, by their names and the values of their labels."""
        text = self.client.get(METRICS_PATH).text
        assert SECRET not in text
        found = {key_of(sample): sample.value for sample in samples_of(text) if "le" not in sample.labels}
        return Counter(found)

    @contextlib.contextmanager
    def changes(self, prefix: str, expected: Mapping[str, float]) -> Iterator[None]:
        """Check which samples with a prefix the block changes, and by how much."""
        before = self.samples()
        yield
        after = self.samples()
        found = {name: after[name] - before[name] for name in after | before if name.startswith(prefix)}
        assert {name: change for name, change in found.items() if change} == expected

    def call(self, path: str = CREDIT, key: str = SECRET, fault: str | None = None) -> httpx.Response:
        """Call the Perfect Corp API."""
        headers = {"Authorization": f"Bearer {key}"} | ({} if fault is None else {"X-Emulator-Fault": fault})
        return self.client.get(path, headers=headers)

    def create(self, key: str = SECRET) -> str:
        """Create a task that fails without work, and return its id."""
        headers = {"Authorization": f"Bearer {key}", "X-Emulator-Fault": "error_no_face"}
        answer = self.client.post(TASK, json=BODY, headers=headers)
        task_id: str = answer.json()["data"]["task_id"]
        return task_id


def samples_of(text: str) -> list[Sample]:
    return [sample for family in parse(text) for sample in family.samples]


def key_of(sample: Sample) -> str:
    """Return the name of a sample, and the values of its labels in the order of their names."""
    values = [sample.labels[name] for name in sorted(sample.labels)]
    return " ".join([sample.name.removeprefix("face_emulator_"), *values])


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(CHORES)
        pool = WorkerPool(1, DO_NOTHING)
        pool.warm_up()
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def emulator(pool: WorkerPool) -> Iterator[Emulator]:
    with (
        running_server(workers=pool) as server,
        httpx.Client(base_url=server.base_url, timeout=60) as client,
    ):
        yield Emulator(client, pool, server)


def test_every_metric_is_described_in_both_formats(emulator: Emulator) -> None:
    emulator.call()
    answers = [emulator.client.get(METRICS_PATH, headers={"Accept": accept}) for accept in (
        "*/*", "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5",
    )]  # fmt: skip
    assert [answer.headers["content-type"] for answer in answers] == [
        "text/plain; version=0.0.4; charset=utf-8",
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
    ]
    described = {each.name.removesuffix("_total"): (each.kind, each.text) for each in METRICS}
    labels = {each.name: set(each.labels) for each in METRICS}
    parsers: tuple[Callable[[str], Iterable[Family]], ...] = (parse, parse_open_metrics)
    for answer, parser in zip(answers, parsers, strict=True):
        families = {family.name: family for family in parser(answer.text)}
        own = {name: found for name, found in families.items() if name.startswith("face_emulator_")}
        assert {name: (found.type, found.documentation) for name, found in own.items()} == described
        for found in own.values():
            for sample in found.samples:
                name = sample.name if sample.name in labels else found.name
                assert sample.labels.keys() - {"le"} == labels[name], sample
        assert {"process_cpu_seconds", "process_resident_memory_bytes"} <= families.keys()


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=new", "text/plain;version=1.x"])
def test_a_client_that_asks_for_an_impossible_version_gets_the_plain_format(
    emulator: Emulator, accept: str
) -> None:
    answer = emulator.client.get(METRICS_PATH, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/plain")


def test_calls_are_counted_by_vendor_operation_and_status(emulator: Emulator) -> None:
    counted = {
        "calls_total credit 200 perfectcorp": 3,
        "calls_total credit 429 perfectcorp": 2,
        "calls_total credit none perfectcorp": 1,
        "calls_total none 404 perfectcorp": 1,
        "calls_total none 404 faceplusplus": 1,
        "calls_total 3dface 400 faceplusplus": 1,
    }
    with emulator.changes("calls_total", counted):
        for _ in range(3):
            emulator.call()
        for _ in range(2):
            emulator.call(fault="TooManyRequests")
        with pytest.raises(httpx.TransportError):
            emulator.call(fault="connection-reset")
        emulator.call("/s2s/nothing")
        emulator.client.get("/facepp/nothing")
        emulator.client.post("/facepp/v1/3dface", data={"api_secret": "s"})
        emulator.client.get("/_emulator/clock")
        emulator.client.get("/nothing")
    name = "call_duration_seconds_count"
    with emulator.changes(name, {f"{name} credit perfectcorp": 2}):
        emulator.call()
        emulator.call(fault="TooManyRequests")


def test_requests_that_belong_to_no_vendor_are_counted_if_they_are_in_the_journal(emulator: Emulator) -> None:
    url = emulator.client.base_url
    counted = {"calls_total none 400 server": 1, "calls_total none 403 proxy": 1}
    with emulator.changes("calls_total", counted):
        for request in (
            b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
            b"GET http://other.example/ HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n",
        ):
            with socket.create_connection((url.host, url.port or 0), timeout=60) as connection:
                connection.sendall(request)
                while connection.recv(65536):
                    pass


def test_a_slow_call_is_in_the_buckets_of_its_duration(emulator: Emulator) -> None:
    rule = {"match": {"credential": SECRET}, "effect": {"latency": 0.3}, "count": 1}
    emulator.client.post("/_emulator/faults", json=rule).raise_for_status()
    before = buckets(emulator)
    emulator.call("/s2s/v2.0/credit/feature-cost")
    after = buckets(emulator)
    assert {bound for bound in after if after[bound] > before.get(bound, 0)} == {
        bound for bound in after if bound >= 0.5
    }
    assert len(after) == 17


def buckets(emulator: Emulator) -> dict[float, float]:
    """Return the histogram of the calls of one operation."""
    return {
        float(sample.labels["le"]): sample.value
        for sample in samples_of(emulator.client.get(METRICS_PATH).text)
        if sample.name == "face_emulator_call_duration_seconds_bucket"
        and sample.labels["operation"] == "feature_cost"
    }


def test_faults_are_counted_by_what_requested_them(emulator: Emulator) -> None:
    rule = {"match": {"credential": SECRET, "nth": 2}, "effect": "TooManyRequests"}
    counted = {
        "faults_fired_total header perfectcorp": 1,
        "faults_fired_total credential perfectcorp": 2,
        "faults_fired_total rule perfectcorp": 1,
    }
    with emulator.changes("faults_fired_total", counted):
        emulator.client.post("/_emulator/faults", json=rule).raise_for_status()
        assert [emulator.call().status_code for _ in range(3)] == [200, 429, 200]
        emulator.call(fault="TooManyRequests")
        for number in range(2):
            emulator.call(key=f"fault-TooManyRequests.{number}")
        emulator.call(fault="nonsense")
    emulator.client.post("/_emulator/reset", json={"credential": SECRET})


def test_tasks_are_counted_by_their_state_now_and_counters_survive_a_reset(
    emulator: Emulator, eventually: Eventually
) -> None:
    def states() -> dict[str, float]:
        found = emulator.samples()
        return {name: found[name] for name in found if name.startswith("tasks ") and found[name]}

    assert states() == {}
    emulator.create()
    eventually(lambda: states() == {"tasks failed": 1})
    emulator.client.put("/_emulator/progression", json={"mode": "manual"}, params={"credential": "two"})
    task_id = emulator.create("two")
    eventually(lambda: states() == {"tasks failed": 1, "tasks held": 1})
    emulator.client.post(f"/_emulator/tasks/{task_id}/finish").raise_for_status()
    eventually(lambda: states() == {"tasks failed": 2})
    with emulator.changes("calls_total", {}), emulator.changes("faults_fired_total", {}):
        emulator.client.post("/_emulator/reset", json={"credential": "two"})
        assert states() == {"tasks failed": 1}
        emulator.client.post("/_emulator/reset")
        assert states() == {}
    assert emulator.samples()["tasks_waiting"] == 0
    assert emulator.samples().keys() >= {f"tasks {state}" for state in ("queued", "running", "succeeded")}


def test_attempts_to_send_webhooks_are_counted_by_result(
    emulator: Emulator, receivers: Callable[[], Any], eventually: Eventually
) -> None:
    willing, gone = receivers(), receivers()
    gone.answers.append((410, {}))
    counted = {
        "webhook_attempts_total accepted perfectcorp": 1,
        "webhook_attempts_total refused perfectcorp": 1,
        "webhook_attempts_total unanswered perfectcorp": 1,
    }
    with emulator.changes("webhook_attempts_total", counted):
        for url in (willing.url, gone.url, "http://127.0.0.1:9/hook"):
            emulator.client.post(
                "/_emulator/webhooks/endpoints", json={"url": url}, params={"credential": SECRET}
            ).raise_for_status()
        emulator.create()

        def attempts() -> list[Any]:
            return [each["attempts"] for each in emulator.client.get("/_emulator/webhooks/deliveries").json()]

        eventually(lambda: len(attempts()) == 3 and all(attempts()))

    def unfinished() -> dict[str, float]:
        samples = emulator.samples()
        return {state: samples[f"webhook_deliveries_unfinished {state}"] for state in UNFINISHED}

    # Only the delivery that was not answered is tried again.
    eventually(lambda: unfinished() == {"prepared": 0, "held": 0, "waiting": 1})
    emulator.client.post("/_emulator/reset", json={"credential": SECRET})


def test_the_queue_and_the_works_are_measured(
    emulator: Emulator, tmp_path: Path, eventually: Eventually
) -> None:
    go, name = tmp_path / "go", TOUCH_AFTER.name
    counted = {"queue_wait_seconds_count": 3, f"work_duration_seconds_count {name}": 3}
    with emulator.changes("queue_wait_seconds_count", {"queue_wait_seconds_count": 3}):
        works = [emulator.pool.submit(TOUCH_AFTER, go, tmp_path / str(number)) for number in range(3)]
        eventually(lambda: emulator.samples()["queue_length"] == 2)
        health = emulator.client.get("/_emulator/health").json()
        assert (health["workers"], health["waiting"]) == ({"count": 1, "alive": 1}, 2)
        found = emulator.samples()
        assert (found["workers"], found["workers_alive"]) == (1, 1)
        assert found[f"work_duration_seconds_count {name}"] == 0
        go.touch()
        for work in works:
            work.result(60)
    after = emulator.samples()
    assert {name: after[name] - found[name] for name in counted} == {**counted, "queue_wait_seconds_count": 2}
    assert after["queue_length"] == 0


def test_the_journal_is_measured(emulator: Emulator) -> None:
    emulator.client.delete("/_emulator/calls")
    assert emulator.samples()["journal_calls"] == 0
    with emulator.changes("journal_calls", {"journal_calls": 2}):
        emulator.call()
        emulator.call()
    assert emulator.samples()["journal_bytes"] > 1000


def test_calls_are_counted_without_a_journal(pool: WorkerPool) -> None:
    with (
        running_server(Settings(journal_calls=0), workers=pool) as server,
        httpx.Client(base_url=server.base_url) as client,
    ):
        emulator = Emulator(client, pool, server)
        emulator.call()
        emulator.call(fault="TooManyRequests")
        found = emulator.samples()
    assert {name: found[name] for name in found if name.startswith(("calls_total", "journal"))} == {
        "calls_total credit 200 perfectcorp": 1,
        "calls_total credit 429 perfectcorp": 1,
        "journal_calls": 0,
        "journal_bytes": 0,
    }


def test_the_metrics_are_served_while_the_database_is_unavailable(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert emulator.samples()["database_up"] == 1

    async def away(*_arguments: object) -> NoReturn:
        raise StoreUnavailable("the database is down")

    app = emulator.server.app
    monkeypatch.setattr(app, "catch_up", away)
    monkeypatch.setattr(app.state.world.records, "tally", away)
    assert emulator.client.get("/_emulator/tasks").status_code == 503
    found = emulator.samples()
    assert found["database_up"] == 0
    assert [name for name in found if name.startswith("tasks")] == []
    assert found["workers_alive"] == 1


def test_prometheus_reaches_the_metrics_as_the_documentation_says(pool: WorkerPool) -> None:
    (block,) = (block for block in blocks_of(DOCS / "metrics.md") if block.language == "yaml")
    (job,) = yaml.safe_load(block.source)["scrape_configs"]
    token = "a-long-random-text"  # noqa: S105 - for this test
    headers = {"Authorization": f"{job['authorization']['type']} {token}"}
    hosts = {"emulator:3468": 200, "10.0.0.1:3468": 200, "emulator.ci.example:3468": 200, "ci.example": 403}
    assert job["static_configs"][0]["targets"][0] in hosts
    settings = Settings(control="on", control_token=token, control_hosts=("emulator.ci.example",))
    with running_server(settings, workers=pool) as server:
        url = f"{server.base_url}{job['metrics_path']}"
        for host, status in hosts.items():
            assert httpx.get(url, headers={**headers, "Host": host}).status_code == status
        assert httpx.get(url).status_code == 401
    with running_server(Settings(control="off"), workers=pool) as server:
        assert httpx.get(f"{server.base_url}{METRICS_PATH}").status_code == 404
