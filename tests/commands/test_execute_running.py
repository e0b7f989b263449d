"""``exec`` with an emulator that already runs."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from command_runs import face_emulator

from emulator.server import Listening


def test_a_running_emulator_is_used_with_its_own_calls_left_out(secure: Listening, tmp_path: Path) -> None:
    url = f"{secure.base_url}/s2s/v1.0/client/credit"
    httpx.get(url, headers={"Authorization": "Bearer sk-before"})
    har = tmp_path / "calls.har"
    command = ["curl", "-s", "https://yce-api-01.makeupar.com/s2s/v1.0/client/credit"]
    ran = face_emulator(
        "exec", "--url", secure.base_url, "--har", str(har), "--fail-on", "failures", "--", *command
    )
    assert (ran.returncode, json.loads(ran.stdout)["error_code"]) == (1, "InvalidAccessToken")
    assert "1 call, 1 failed, 0 warnings" in ran.stderr
    (entry,) = json.loads(har.read_text())["log"]["entries"]
    assert entry["response"]["status"] == 401


@pytest.mark.parametrize("option", [["--keep"], ["--port", "4000"], ["--data-dir", "x"], ["--sealed"]])
def test_options_of_an_own_emulator_are_refused_for_a_running_one(option: list[str]) -> None:
    ran = face_emulator("exec", "--url", "http://127.0.0.1:9", *option, "--", "true")
    assert ran.returncode == 125
    assert f"{option[0]} is for an emulator that exec starts; omit --url" in ran.stderr


def test_a_running_emulator_that_cannot_be_reached_is_reported() -> None:
    ran = face_emulator("exec", "--url", "http://127.0.0.1:9", "--", "true")
    assert ran.returncode == 125
    assert "no emulator answers at http://127.0.0.1:9 " in ran.stderr
