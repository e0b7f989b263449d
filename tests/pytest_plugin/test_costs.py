"""What a run would have cost."""

from __future__ import annotations

import httpx
import pytest
from pytester_runs import FACE, PAYING, run

from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.settings import Settings
from face_api_emulator.pytest_plugin import TITLE

pytest_plugins = ["pytester"]


def test_only_this_run_is_billed_on_an_emulator_that_already_runs(
    pytester: pytest.Pytester, workers: WorkerPool
) -> None:
    prices = {"3dface": {"amount": "0.10", "currency": "USD"}}
    settings = Settings(vendors={"faceplusplus": {"prices": prices}})
    with running_server(settings, workers=workers) as server:
        for _ in range(2):
            answer = httpx.post(
                f"{server.base_url}/facepp/v1/3dface",
                data={"api_key": "k", "api_secret": "s"},
                files={"image_file_1": FACE.read_bytes()},
                timeout=120,
            )
            assert answer.status_code == 200
        pytester.makepyfile(PAYING)
        result = pytester.runpytest_subprocess(f"--face-emulator-url={server.base_url}/")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"*{TITLE}*", "faceplusplus 3dface: 1 call, 0.10 USD", "total: 0.10 USD"])


def test_calls_of_a_credential_are_billed_despite_its_reset(
    pytester: pytest.Pytester, server: Listening
) -> None:
    reset = """
    httpx.post(face_emulator_server.base_url + "/_emulator/reset", json={"credential": "k"})
"""
    pytester.makepyfile(PAYING + reset)
    result = run(pytester, server)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"*{TITLE}*", "faceplusplus 3dface: 1 call, no price is set"])


def test_an_emulator_whose_control_api_is_off_is_tested_without_a_bill(
    pytester: pytest.Pytester, workers: WorkerPool
) -> None:
    with running_server(Settings(control="off"), workers=workers) as server:
        pytester.makepyfile(PAYING)
        result = run(pytester, server)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line(f"*{TITLE}*")


def test_a_run_without_billed_calls_prints_no_bill(pytester: pytest.Pytester, server: Listening) -> None:
    pytester.makepyfile("def test_looks(face_emulator_server): assert face_emulator_server.base_url")
    result = run(pytester, server)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line(f"*{TITLE}*")
