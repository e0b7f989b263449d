"""``exec`` with an emulator that already runs."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import httpx
import pytest
from command_runs import face_emulator

from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.settings import Settings


@pytest.mark.skipif(shutil.which("curl") is None, reason="the command is curl, which is not installed")
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


@pytest.mark.parametrize(
    "option", [["--fail-on", "warnings"], ["--har", "calls.har"]], ids=lambda each: each[0]
)
def test_a_verdict_needs_the_journal_of_the_running_emulator(
    workers: WorkerPool, option: list[str], tmp_path: Path
) -> None:
    with running_server(Settings(journal_calls=0), workers=workers, tls_port=0) as server:
        file = tmp_path / "ran"
        ran = face_emulator("exec", "--url", server.base_url, *option, "--", "touch", str(file))
    assert ran.returncode == 125
    assert ran.stderr == (
        "face-emulator: --fail-on and --har need the journal, but FACE_EMULATOR_JOURNAL_CALLS is 0\n"
    )
    assert not file.exists()


def test_without_a_journal_the_summary_says_so(workers: WorkerPool) -> None:
    with running_server(Settings(journal_calls=0), workers=workers, tls_port=0) as server:
        ran = face_emulator("exec", "--url", server.base_url, "--", "true")
    assert ran.returncode == 0
    assert "the calls were not counted, because FACE_EMULATOR_JOURNAL_CALLS is 0" in ran.stderr


def test_a_verdict_without_dropped_calls_is_not_given(workers: WorkerPool, tmp_path: Path) -> None:
    """The dropped calls are those of the command, not those from before it."""
    script = tmp_path / "calls.py"
    script.write_text(
        "import os, urllib.request\n"
        "open_url = urllib.request.build_opener(urllib.request.ProxyHandler({})).open\n"
        "url = os.environ['FACE_EMULATOR_URL'] + '/s2s/v1.0/client/credit'\n"
        "for _ in range(5):\n"
        "    open_url(urllib.request.Request(url, headers={'Authorization': 'Bearer sk-many'})).read()\n"
    )
    with running_server(Settings(journal_calls=3), workers=workers, tls_port=0) as server:
        for _ in range(7):
            httpx.get(f"{server.base_url}/s2s/v1.0/client/credit", headers={"Authorization": "Bearer sk-a"})
        for options, code in (([], 0), (["--fail-on", "failures"], 125)):
            ran = face_emulator("exec", "--url", server.base_url, *options, "--", sys.executable, str(script))
            assert ran.returncode == code, ran.stderr
            assert "3 calls, 0 failed, 0 warnings" in ran.stderr
            assert (
                "the journal dropped the first 2 calls; increase FACE_EMULATOR_JOURNAL_CALLS or "
                in ran.stderr
            )


@pytest.mark.parametrize("option", [["--keep"], ["--port", "4000"], ["--data-dir", "x"], ["--sealed"]])
def test_options_of_an_own_emulator_are_refused_for_a_running_one(option: list[str]) -> None:
    ran = face_emulator("exec", "--url", "http://127.0.0.1:9", *option, "--", "true")
    assert ran.returncode == 125
    assert f"{option[0]} cannot be combined with --url, which uses a running emulator" in ran.stderr


def test_a_running_emulator_that_cannot_be_reached_is_reported() -> None:
    ran = face_emulator("exec", "--url", "http://127.0.0.1:9", "--", "true")
    assert ran.returncode == 125
    assert "no emulator answers at http://127.0.0.1:9 " in ran.stderr
