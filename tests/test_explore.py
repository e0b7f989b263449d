from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from standardwebhooks import Webhook

from emulator.backends.queue.pool import WorkerPool
from emulator.explore import CannotExplore, Exploration, Plan, Result, explore_plans, plans
from emulator.server import running_server
from emulator.settings import Settings
from emulator.tasks.progression import Mode, Progression
from emulator.world.plans.plan import Step, When

CONSUMER = str(Path(__file__).parent / "consumer.py")

# Creates a task that fails at once, and then runs for longer than the timeout.
HANGING = """
curl -s -o /dev/null "$FACE_EMULATOR_URL/s2s/v2.0/task/face-reshape" -H 'X-Emulator-Fault: error_no_face' \\
  -H "Authorization: Bearer $FACE_EMULATOR_CREDENTIAL" -H 'Content-Type: application/json' \\
  -d '{"src_file_url": "http://127.0.0.1:9/", "version": "1.0", "features": {"jaw": 1}, "global": {}}'
sleep 60
"""


@pytest.fixture(scope="module")
def url(workers: WorkerPool) -> Iterator[str]:
    """An emulator where a task is running at its first poll and finished at the next."""
    progression = Progression(mode=Mode.AFTER_POLLS, polls=1)
    with running_server(Settings(progression=progression), workers=workers) as listening:
        yield listening.base_url


@pytest.fixture(scope="module")
def real_url(workers: WorkerPool) -> Iterator[str]:
    """An emulator with the default progression."""
    with running_server(Settings(), workers=workers) as listening:
        yield listening.base_url


def explore(
    url: str,
    *arguments: str,
    command: str = sys.executable,
    polls: int = 1,
    limit: int = 100,
    timeout_s: float = 30.0,
    **more: str,
) -> tuple[list[Result], str]:
    printed = io.StringIO()
    console = Console(file=printed, width=400)
    options = Exploration(
        (command, *arguments), most_polls=polls, limit=limit, timeout_s=timeout_s, patience_s=0.1, **more
    )
    return explore_plans(options, url, console), printed.getvalue()


def test_plans_are_unique_and_sorted_by_length() -> None:
    found = plans(3)
    assert len({plan.steps for plan in found}) == len(found) == 10 + 3 * 6
    lengths = [len(plan.steps) for plan in found]
    assert lengths == sorted(lengths)
    assert plans(2) == [plan for plan in found if plan.running_polls <= 2]


def test_a_plan_is_printed_as_the_steps_that_the_client_sees() -> None:
    assert str(Plan(2, (When.BEFORE_END, When.AFTER_END))) == (
        "created, 2 x poll: running, webhook, poll: finished, webhook"
    )
    assert str(Plan(0, ())) == "created, poll: finished, no webhook"
    assert str(Plan(0, (When.BEFORE_CREATION,) * 2)) == "2 x webhook, created, poll: finished"


def test_a_correct_client_passes_every_plan(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The client polls before it answers a webhook. Each of these polls waits for the timeout.
    monkeypatch.setattr("emulator.world.plans.plans.ENDPOINT_TIMEOUT_SECONDS", 0.1)
    broken, printed = explore(url, CONSUMER, "looks-up", polls=0)
    assert broken == []
    assert "without a plan: ok; 1 task(s), 1 webhook(s): created, poll: running" in printed
    assert "none of 10 orders breaks the client" in printed


def test_a_client_that_rejects_duplicate_webhooks_breaks(url: str) -> None:
    broken, printed = explore(url, CONSUMER, "duplicates", polls=0)
    assert {result.plan for result in broken} == {plan for plan in plans(0) if len(plan.webhooks) == 2}
    assert (
        "6 of 10 orders break the client. The shortest: created, webhook, poll: finished, webhook" in printed
    )
    assert "came twice" in printed


def test_a_client_that_must_poll_before_the_webhook_breaks(url: str) -> None:
    broken, printed = explore(url, CONSUMER, "early", limit=7)
    assert broken[0].plan == Plan(0, (When.BEFORE_END,))
    assert all(
        result.plan is not None
        and result.plan.running_polls == 0
        and result.plan.webhooks[0] is not When.AFTER_END
        for result in broken
    )
    assert "The shortest: created, webhook, poll: finished" in printed


def test_a_client_that_never_polls_breaks_without_a_webhook(real_url: str) -> None:
    broken, printed = explore(real_url, CONSUMER, "waits", limit=2)
    assert [result.plan for result in broken] == [Plan(0, ())]
    assert "neither a poll nor a webhook reported the end of the task" in printed


@pytest.mark.skipif(shutil.which("curl") is None, reason="the client calls curl, which is not installed")
def test_a_client_that_hangs_breaks(real_url: str, receiver: Any) -> None:
    """The client is a shell script, because the start of Python would count towards the timeout."""
    broken, printed = explore(
        real_url, "-c", HANGING, command="sh", limit=1, timeout_s=0.5, endpoint=receiver.url
    )
    assert [result.failure for result in broken] == ["timeout after 0.5 s"]
    assert "without a plan: timeout after 0.5 s; 1 task(s), 1 webhook(s)" in printed


def test_webhooks_go_to_the_given_endpoint(url: str, receiver: Any) -> None:
    secret = "whsec_NDQzMzYxNzkzMzE0NjYyNDM6OTIxOTcwNDIxODQ"  # noqa: S105 - the one of the vendor's page
    given = {"endpoint": receiver.url, "secret": secret, "vendor": "perfectcorp"}
    broken, _ = explore(url, CONSUMER, "deaf", limit=2, **given)
    assert broken == []
    # The run without a plan sends one webhook; the two plans send none and one.
    received = receiver.wait(2)
    assert len({one.headers["webhook-id"] for one in received}) == len(received) == 2
    for one in received:
        Webhook(secret).verify(one.body, one.headers)
    with pytest.raises(CannotExplore, match="cannot be added: ftp://a/: it is not an http or https URL"):
        explore(url, CONSUMER, "deaf", endpoint="ftp://a/")
    with pytest.raises(CannotExplore, match="metahuman has no webhooks; vendors with webhooks: perfectcorp"):
        explore(url, CONSUMER, "deaf", endpoint=receiver.url, vendor="metahuman")


def test_the_runs_are_one_json_document(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The explorer calls the emulator without the proxy of the environment."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    asked = Exploration(
        # The client has the same environment.
        ("env", "-u", "HTTP_PROXY", sys.executable, CONSUMER, "duplicates"),
        most_polls=0,
        patience_s=0.1,
    )
    broken = explore_plans(asked, url, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert (document["orders"], document["broken"]) == (10, len(broken))
    plain, first, *_ = document["runs"]
    assert (plain["order"], plain["ok"], plain["failure"], plain["deliveries"]) == (None, True, None, 1)
    assert (first["order"], first["ok"]) == (["created", "poll_end"], True)


def test_explore_reports_why_it_cannot_explore(url: str) -> None:
    with pytest.raises(CannotExplore, match="the client fails without a plan: exit status 3"):
        explore(url, "-c", "raise SystemExit(3)")
    with pytest.raises(CannotExplore, match="the client created no task"):
        explore(url, "-c", "")
    with pytest.raises(CannotExplore, match="no webhook was sent"):
        explore(url, CONSUMER, "deaf")
    with pytest.raises(CannotExplore, match=r"127\.0\.0\.1:9"):
        explore("http://127.0.0.1:9", "-c", "")


def test_a_plan_lists_its_steps_and_a_result_prints_those_that_happened() -> None:
    plan = Plan(1, (When.AFTER_END,))
    assert plan.steps == (Step.CREATED, Step.POLL_RUNNING, Step.POLL_END, Step.WEBHOOK_TAKEN)
    assert Result(plan, (plan.steps, plan.steps), None, 1.0).happened() == (
        "created, poll: running, poll: finished, webhook"
    )
