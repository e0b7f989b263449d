"""The commands and the pytest plugin work for a vendor that is not part of the package."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pytester_runs import only_our_plugin

from emulator.backends.queue.pool import WorkerPool
from emulator.cli import app
from emulator.server import Listening, running_server
from emulator.settings import Settings
from face_api_emulator.pytest_plugin import TITLE

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent.parent
CONSUMER = str(Path(__file__).parent / "consumer.py")
FACE = ROOT / "fixtures" / "faces" / "two-faces.jpg"

Explore = Callable[..., Any]


@pytest.fixture
def explore(server: Listening) -> Explore:
    """A function that runs ``face-emulator explore`` with the client in consumer.py."""

    def run(*expected: str, vendor: str | None = None, limit: int = 2) -> Any:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        options = ["--endpoint", f"http://127.0.0.1:{port}/hook", "--limit", str(limit)]
        options += [] if vendor is None else ["--vendor", vendor]
        options += ["--url", server.base_url, "--polls", "0", "--patience", "0.1"]
        consumer = [sys.executable, CONSUMER, str(port), *expected]
        return CliRunner().invoke(app, ["explore", *options, "--", *consumer], env={"COLUMNS": "200"})

    return run


def test_explore_sends_webhooks_of_a_vendor_to_an_endpoint(explore: Explore) -> None:
    done = explore("example_vendor", vendor="example_vendor")
    assert done.exit_code == 0, done.output
    assert "without a plan: ok; 2 task(s), 1 webhook(s)" in done.output
    assert "none of 2 orders breaks the client" in done.output


def test_explore_sends_webhooks_of_every_vendor_to_an_endpoint_without_one(explore: Explore) -> None:
    done = explore("example_vendor", "perfectcorp")
    assert done.exit_code == 0, done.output
    assert "without a plan: ok; 2 task(s), 2 webhook(s)" in done.output


def test_explore_names_the_order_that_breaks_the_client(explore: Explore) -> None:
    done = explore("example_vendor", "once", vendor="example_vendor", limit=5)
    assert done.exit_code == 1, done.output
    assert "1 of 5 orders break the client. The shortest: created, webhook, poll" in done.output
    assert "a webhook came twice" in done.output


@pytest.fixture
def drift(monkeypatch: pytest.MonkeyPatch, workers: WorkerPool) -> Callable[..., Any]:
    """A function that runs ``face-emulator drift``. The command uses the running worker of the tests."""
    monkeypatch.setattr("emulator.drift.command.running_server", partial(running_server, workers=workers))

    def run(*arguments: str, **environment: str) -> Any:
        command = ["drift", "--vendor", "example_vendor", *arguments]
        return CliRunner().invoke(app, command, env={"COLUMNS": "200", **environment})

    return run


def test_drift_lists_the_samples(drift: Callable[..., Any]) -> None:
    done = drift("--list")
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["count", "crop"]


def test_drift_finds_nothing_between_two_emulators(drift: Callable[..., Any], server: Listening) -> None:
    done = drift("--base-url", server.base_url, "--key", "any")
    assert done.exit_code == 0, done.output
    assert "2 samples" in done.stdout
    assert "0 differences" in done.stdout


def test_drift_finds_a_difference_and_names_the_setting(
    drift: Callable[..., Any], workers: WorkerPool
) -> None:
    wording = {"no_picture": {"status": 400, "text": "Send a picture."}}
    settings = Settings(vendors={"example_vendor": {"errors": wording}})
    with running_server(settings, workers=workers) as real:
        found = drift("--base-url", real.base_url, "--key", "any", "--only", "count")
        assert found.exit_code == 1, found.output
        assert "1 sample, 2 calls, 2 differences" in found.stdout
        setting = re.search(
            r"^(FACE_EMULATOR_VENDORS__EXAMPLE_VENDOR__ERRORS)='(.*)'$", found.stdout, re.MULTILINE
        )
        assert setting is not None
        assert json.loads(setting[2]) == wording
        corrected = drift(
            *("--base-url", real.base_url, "--key", "any", "--only", "count"), **{setting[1]: setting[2]}
        )
    assert (corrected.exit_code, "0 differences" in corrected.stdout) == (0, True)


def test_drift_names_the_folder_where_no_setting_helps(
    drift: Callable[..., Any], workers: WorkerPool
) -> None:
    settings = Settings(vendors={"example_vendor": {"picture_bytes": 10}})
    with running_server(settings, workers=workers) as real:
        found = drift("--base-url", real.base_url, "--key", "any", "--only", "count")
    advice = "the service returns too_large instead of no_picture; change the condition in example_vendor"
    assert advice in found.stdout


def test_the_demo_writes_a_file_beside_the_others(
    monkeypatch: pytest.MonkeyPatch, workers: WorkerPool, tmp_path: Path
) -> None:
    monkeypatch.setattr("emulator.demo.running_server", partial(running_server, workers=workers))
    done = CliRunner().invoke(app, ["demo", "--output", str(tmp_path)], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "example.json").read_text()) == {"faces": 1}
    assert {path.name for path in tmp_path.iterdir()} > {"example.json", "metahuman.json", "face.obj"}
    assert re.search(r"Example Faces .* count .* example\.json", done.output)


def test_the_pytest_plugin_bills_the_vendor(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    monkeypatch.setenv("FACE_EMULATOR_WORKERS", "1")
    only_our_plugin(monkeypatch)
    prices = {"count": {"amount": "0.05", "currency": "EUR"}}
    monkeypatch.setenv("FACE_EMULATOR_VENDORS__EXAMPLE_VENDOR__PRICES", json.dumps(prices))
    pytester.makepyfile(
        f"""
        import httpx

        def test_counts(face_emulator_server):
            url = face_emulator_server.base_url + "/example/v1/count"
            with open({str(FACE)!r}, "rb") as photo:
                answer = httpx.post(url, content=photo.read(), headers={{"X-Example-Key": "k"}}, timeout=120)
            assert answer.json() == {{"faces": 2}}
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"*{TITLE}*", "example_vendor count: 1 call, 0.05 EUR", "total: 0.05 EUR"])
