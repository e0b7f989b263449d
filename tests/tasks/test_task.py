from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.tasks.task import (
    TERMINAL,
    TRANSITIONS,
    IllegalTransition,
    Outcome,
    Task,
    TaskEvent,
    TaskState,
    finish,
    hold,
    start,
    step,
)

TASK = Task("id", "me", "vendor/job", {"a": 1}, created_at=1.0)


@pytest.mark.parametrize("state", TaskState)
@pytest.mark.parametrize("event", TaskEvent)
def test_a_transition_is_in_the_table_or_illegal(state: TaskState, event: TaskEvent) -> None:
    if (state, event) in TRANSITIONS:
        assert step(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition, match=f"a task that is {state} cannot be {event}"):
            step(state, event)


def test_succeeded_and_failed_are_the_terminal_states() -> None:
    assert {TaskState.SUCCEEDED, TaskState.FAILED} == TERMINAL


@given(st.lists(st.sampled_from(TaskEvent)))
def test_a_task_ends_at_most_once(events: list[TaskEvent]) -> None:
    state, ends = TaskState.QUEUED, 0
    for event in events:
        try:
            state = step(state, event)
        except IllegalTransition:
            continue
        ends += state in TERMINAL
    assert ends <= 1
    assert (state in TERMINAL) == (ends == 1)


def test_a_task_is_started_held_and_finished() -> None:
    running = start(TASK, 2.0)
    assert (running.state, running.started_at, running.is_finished) == (TaskState.RUNNING, 2.0, False)
    made = hold(running, Outcome({"url": "u"}))
    assert (made.state, made.result, made.is_performed, made.is_finished) == (
        TaskState.HELD,
        None,
        True,
        False,
    )
    succeeded = finish(made, Outcome({"url": "u"}), 3.0)
    assert (succeeded.state, succeeded.finished_at, succeeded.result, succeeded.error) == (
        TaskState.SUCCEEDED,
        3.0,
        {"url": "u"},
        None,
    )
    failed = finish(made, Outcome(error="error_no_face"), 3.0)
    assert (failed.state, failed.result, failed.error, failed.is_finished) == (
        TaskState.FAILED,
        None,
        "error_no_face",
        True,
    )


def test_an_outcome_is_either_a_result_or_an_error() -> None:
    pairs: list[tuple[dict[str, int] | None, str | None]] = [(None, None), ({}, "error")]
    for result, error in pairs:
        with pytest.raises(ValueError, match="either a result or an error"):
            Outcome(result, error)


def test_a_task_survives_a_round_trip_through_json() -> None:
    held = hold(replace(start(TASK, 2.0), follows_plan=True), Outcome({"n": [1, 2]}))
    for task in (held, finish(held, Outcome({"n": [1, 2]}), 3.0)):
        assert Task.from_document(json.loads(json.dumps(task.to_document()))) == task


def test_a_task_that_follows_a_plan_is_not_due() -> None:
    assert TASK.is_due(1.0)
    assert not replace(TASK, follows_plan=True).is_due(1.0)


def test_a_task_that_is_not_held_cannot_be_finished() -> None:
    for task in (TASK, start(TASK, 2.0)):
        with pytest.raises(IllegalTransition):
            finish(task, Outcome({}), 3.0)
