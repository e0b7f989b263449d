from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.world.plans.plan import Plan, Step, When
from emulator.world.plans.run import Gate, Run, check_run

RUN = Run(1, "a", 5.0)
RUNS = st.builds(
    Run,
    plan=st.integers(0, 9),
    driver=st.sampled_from(["", "a"]),
    created_at=st.floats(0, 1e9),
    steps=st.lists(st.sampled_from(Step), max_size=6).map(tuple),
    arrivals=st.integers(0, 9),
    waiting=st.integers(0, 3),
    passed=st.frozensets(st.sampled_from(Gate)),
    is_over=st.booleans(),
)
POLLED = Plan(polls=1, webhooks=(When.BEFORE_END,))


@given(RUNS)
def test_a_stored_run_is_valid_and_the_same(run: Run) -> None:
    document = json.loads(json.dumps(run.to_document()))
    check_run(document)
    assert Run.from_document(document) == run


@pytest.mark.parametrize(
    "wrong",
    [
        {"plan": "1"},
        {"plan": -1},
        {"driver": 7},
        {"created_at": 1e300},
        {"steps": ["never"]},
        {"passed": ["never"]},
        {"over": False},
        {"more": 1},
    ],
)
def test_an_invalid_run_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"validation error|unknown"):
        check_run({**RUN.to_document(), **wrong})


def test_a_poll_waits_for_the_gates_of_its_place_in_the_plan() -> None:
    run = RUN.note(Step.CREATED)
    assert run.gates(POLLED) == ()
    run = run.note(Step.POLL_RUNNING)
    assert run.gates(POLLED) == (Gate.ENDED, Gate.BEFORE_END)
    run = run.note(Step.WEBHOOK_SENT).note(Step.POLL_END)
    assert run.gates(POLLED) == (Gate.AFTER_END,)
    assert (run.running_polls, run.polls, run.is_end_reported) == (1, 2, True)
    assert run.gates(Plan()) == run.end().gates(POLLED) == ()


def test_a_poll_that_passes_all_gates_does_not_wait() -> None:
    first = RUN.arrive(POLLED)
    assert (first.arrivals, first.waiting) == (1, 0)
    second = first.note(Step.POLL_RUNNING).arrive(POLLED)
    assert (second.arrivals, second.waiting) == (2, 1)
    assert second.stop_waiting().waiting == second.stop_waiting().stop_waiting().waiting == 0


def test_a_gate_lets_pass_when_it_is_open_or_the_run_is_over() -> None:
    opened = RUN.open(Gate.ENDED)
    assert [each.lets_pass(Gate.ENDED) for each in (RUN, opened, RUN.end())] == [False, True, True]
    assert [each.lets_pass(Gate.AFTER_END) for each in (RUN, opened, RUN.end())] == [False, False, True]


def test_the_answer_of_an_endpoint_replaces_the_step_of_its_webhook() -> None:
    run = RUN.note(Step.WEBHOOK_SENT).note(Step.POLL_END)
    answered = run.renote(0, Step.WEBHOOK_TAKEN)
    assert answered.steps == (Step.WEBHOOK_TAKEN, Step.POLL_END)
    assert [each.awaits_answer for each in (run, answered)] == [True, False]
