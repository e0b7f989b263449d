from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest
from click.testing import CliRunner

from emulator.cli import app
from emulator.server import Listening


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["faults", "add", "nonsense"], "there is no error or effect named nonsense; there are "),
        (["faults", "add", "{broken"], "Expecting property name"),
        (["faults", "add", "slow", "--nth", "0"], "nth: Input should be greater than or equal to 1"),
        (
            ["credentials", "set", "me", "dead"],
            "there is no state dead; choose one of valid, revoked, expired, restricted, no_balance",
        ),
        (["faults", "remove", "nothing"], "there is no active rule nothing"),
        (["clock", "travel", "yesterday"], "yesterday is not an ISO 8601 date and time"),
        (["tasks", "finish", "nothing"], "there is no task nothing"),
        (["tasks", "progression", "after_polls"], "`polls` must be given with the mode after_polls"),
        (["scenario", "load", "nothing"], "there is no built-in scenario nothing; choose one of "),
        (["scenario", "unload", "nothing"], "no rule of the scenario nothing is active"),
    ],
)
def test_a_refused_command_prints_the_reason_without_a_traceback(
    tell: Callable[..., str], arguments: list[str], reason: str
) -> None:
    said = tell(*arguments, fails=True)
    assert said.startswith("face-emulator: ")
    assert reason in said
    assert "Traceback" not in said


def test_an_unreachable_emulator_is_reported() -> None:
    done = CliRunner().invoke(app, ["clock", "now", "--url", "http://127.0.0.1:1"])
    assert done.exit_code == 1
    assert done.output.startswith("face-emulator: no emulator answers at http://127.0.0.1:1 (")


def test_a_reader_that_stops_early_causes_no_message(server: Listening) -> None:
    httpx.get(f"{server.base_url}/s2s/v1.0/client/credit", headers={"Authorization": "Bearer sk-head"})
    listing = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "emulator", "calls", "list", "--url", server.base_url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert listing.stdout is not None
    listing.stdout.close()
    _, messages = listing.communicate(timeout=60)
    assert messages == ""
