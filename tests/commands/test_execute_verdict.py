"""The summary of calls after ``exec``, and the failures that it causes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Execute = Callable[..., subprocess.CompletedProcess[str]]


def test_warnings_and_failures_can_fail_a_successful_command(execute_here: Execute, tmp_path: Path) -> None:
    code = (
        "import os, urllib.request as u\n"
        "url = os.environ['FACEPLUSPLUS_URL'] + '/facepp/v1/3dface?api_key=k'\n"
        "try: u.urlopen(url, b'api_secret=s')\n"
        "except u.HTTPError: pass"
    )
    har = tmp_path / "calls.har"
    command = ["--", sys.executable, "-c", code]
    for options, expected in (
        (["--har", str(har)], 0),
        (["--fail-on", "warnings"], 1),
        (["--fail-on", "failures"], 1),
    ):
        ran = execute_here(*options, *command)
        assert ran.returncode == expected, ran.stderr
        assert "1 call, 1 failed, 1 warning" in ran.stderr
        assert "credential-in-query" in ran.stderr
    (entry,) = json.loads(har.read_text())["log"]["entries"]
    assert entry["response"]["status"] == 400


def test_a_verdict_needs_the_journal(execute_here: Execute) -> None:
    """Without the journal, no call could have a warning."""
    arguments = ["--fail-on", "warnings", "--", "true"]
    ran = execute_here(*arguments, FACE_EMULATOR_JOURNAL_CALLS="0")
    assert ran.returncode == 125
    assert "FACE_EMULATOR_JOURNAL_CALLS is 0" in ran.stderr


def test_dropped_calls_are_reported_and_all_others_are_counted(execute_here: Execute) -> None:
    code = (
        "import os, http.client as h; c = h.HTTPConnection(os.environ['PERFECTCORP_URL'][7:])\n"
        "for _ in range(1205): c.request('GET', '/s2s/none'); c.getresponse().read()"
    )
    arguments = ["--", sys.executable, "-c", code]
    ran = execute_here(*arguments, FACE_EMULATOR_JOURNAL_CALLS="1200")
    assert "1200 calls, 1200 failed" in ran.stderr
    assert "the journal dropped the first 5 calls;" in ran.stderr
