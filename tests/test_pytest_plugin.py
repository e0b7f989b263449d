"""The fixtures for other people's test suites, in runs of pytest of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx
import pytest

from emulator.backends.queue.pool import WorkerPool
from emulator.pytest_plugin.costs import TITLE
from emulator.server import Listening, running_server
from emulator.settings import Settings

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
FACE = ROOT / "fixtures" / "faces" / "ok-frontal.jpg"

PAYING = f"""
import httpx

def test_pays(face_emulator_server):
    with open({str(FACE)!r}, "rb") as photo:
        answer = httpx.post(
            face_emulator_server.base_url + "/facepp/v1/3dface",
            data={{"api_key": "k", "api_secret": "s"}}, files={{"image_file_1": photo}}, timeout=120,
        )
    assert answer.status_code == 200
"""


@pytest.fixture(autouse=True)
def this_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs of pytest of their own find the emulator that is tested, wherever one is installed."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    monkeypatch.setenv("FACE_EMULATOR_WORKERS", "1")


def test_a_run_that_pays_says_what_it_would_have_cost(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PAYING)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"*{TITLE}*", "faceplusplus 3dface: 1 call, no price is set"])


def test_an_emulator_that_runs_already_is_billed_for_this_run_alone(
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


def test_what_tests_reset_is_billed_all_the_same(pytester: pytest.Pytester, server: Listening) -> None:
    reset = """
    httpx.post(face_emulator_server.base_url + "/_emulator/reset", json={"credential": "k"})
"""
    pytester.makepyfile(PAYING + reset)
    result = pytester.runpytest_subprocess(f"--face-emulator-url={server.base_url}")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"*{TITLE}*", "faceplusplus 3dface: 1 call, no price is set"])


def test_an_emulator_that_is_not_there_is_said_with_the_way_out(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_looks(face_emulator_server): pass")
    result = pytester.runpytest_subprocess("--face-emulator-url=http://127.0.0.1:1")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["no emulator answers at http://127.0.0.1:1 (*): start one with *"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_an_emulator_whose_control_api_is_off_is_tested_without_a_bill(
    pytester: pytest.Pytester, workers: WorkerPool
) -> None:
    with running_server(Settings(control="off"), workers=workers) as server:
        pytester.makepyfile(PAYING)
        result = pytester.runpytest_subprocess(f"--face-emulator-url={server.base_url}")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line(f"*{TITLE}*")


def test_a_run_that_is_billed_for_nothing_says_nothing(pytester: pytest.Pytester, server: Listening) -> None:
    pytester.makepyfile("def test_looks(face_emulator_server): assert face_emulator_server.base_url")
    result = pytester.runpytest_subprocess(f"--face-emulator-url={server.base_url}")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line(f"*{TITLE}*")


def test_a_run_that_uses_no_emulator_imports_nothing_for_it(pytester: pytest.Pytester) -> None:
    heavy = ["fastapi", "uvicorn", "httpx", "numpy", "cv2", "emulator.app", "pydantic"]
    pytester.makepyfile(
        f"""
        import sys

        def test_is_light():
            assert "emulator.pytest_plugin" in sys.modules
            assert [name for name in {heavy!r} if name in sys.modules] == []
        """
    )
    # In an interpreter of its own, without the plugins that this environment happens to have.
    result = pytester.run(
        sys.executable, "-c",
        "import os; os.environ['PYTEST_DISABLE_PLUGIN_AUTOLOAD'] = '1'\n"
        "import pytest; raise SystemExit(pytest.main(['-p', 'emulator.pytest_plugin']))",
    )  # fmt: skip
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line(f"*{TITLE}*")
