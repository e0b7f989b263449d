"""The calls of a failed test."""

from __future__ import annotations

import json
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from pytester_runs import CREDIT, run

from emulator.server import Listening
from face_api_emulator.client import Client
from face_api_emulator.pytest_plugin.report import keep_evidence

pytest_plugins = ["pytester"]


def test_the_calls_of_a_failed_test_are_printed_and_kept(
    pytester: pytest.Pytester, server: Listening
) -> None:
    pytester.makepyfile(
        CREDIT
        + """
def test_fails(face_emulator):
    face_emulator.add_fault("slow", operation="upload")
    credit(face_emulator)
    url = face_emulator.base_url + "/s2s/v2.0/task/face-reshape/x"
    httpx.get(url, headers=face_emulator.headers)
    assert face_emulator.verify(operation="credit", status=429).ok

def test_passes(face_emulator):
    credit(face_emulator)
"""
    )
    result = run(pytester, server, "--face-emulator-evidence=kept")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.re_match_lines(
        [
            r"-+ face-api-emulator: calls of this test -+",
            r" *\d+  GET /s2s/v1.0/client/credit -> 200, \d+ ms  perfectcorp credit$",
            r" *\d+  GET /s2s/v2.0/task/face-reshape/x -> 400, \d+ ms  .* check_reshape .*InvalidTask",
            r"fault rule \w+ .*upload.*: matched 0, fired 0",
            r"verification failed: expected at least 1 call, but 0 matched",
            r" +call \d+: status is \"200\", expected \"429\"",
            r"repeat call \d+: curl -X GET .*",
            r"kept: kept/.*test_fails-[0-9a-f]{8}.har, kept/.*test_fails-[0-9a-f]{8}.snapshot.zip",
        ]
    )
    har, snapshot = sorted((pytester.path / "kept").iterdir())
    assert len(json.loads(har.read_text())["log"]["entries"]) == 2
    assert zipfile.is_zipfile(snapshot)
    command = re.search(r"repeat call \d+: (.*)", result.stdout.str())
    assert command is not None
    again = subprocess.run(["sh", "-c", f"{command[1]} -s"], capture_output=True, text=True, check=True)  # noqa: S603, S607 - our own
    assert json.loads(again.stdout)["error_code"] == "InvalidTaskId"


@pytest.mark.parametrize("others", [("t.py::test[a/b]", "t.py::test[a b]"), ("a" * 200, "b" + "a" * 200)])
def test_evidence_of_two_tests_has_two_names(
    server: Listening, tmp_path: Path, others: tuple[str, str]
) -> None:
    with Client(server.base_url, "sk-evidence") as client:
        kept = [path for test in others for path in keep_evidence(client, tmp_path, test)]
    assert sorted(tmp_path.iterdir()) == sorted(set(kept))
    assert len(set(kept)) == 4


def test_a_credential_of_the_users_code_is_not_printed(pytester: pytest.Pytester, server: Listening) -> None:
    pytester.makepyfile(
        CREDIT
        + """
@pytest.fixture
def face_emulator_credential():
    return "sk-live-0123456789"

def test_fails(face_emulator):
    face_emulator.add_fault("slow", operation="upload")
    credit(face_emulator, "".join(["sk-live", "-0123456789"]))
    raise AssertionError("no")

def test_makes_no_call(face_emulator):
    raise AssertionError("no")
"""
    )
    result = run(pytester, server, "--tb=line")
    result.assert_outcomes(failed=2)
    result.stdout.re_match_lines([r"fault rule .*upload", r"repeat call \d+: curl .*SECRET.*"])
    assert "sk-live-0123456789" not in result.stdout.str()
