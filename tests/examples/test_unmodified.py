"""The programs of ``examples/``, unmodified by ``face-emulator exec``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import httpx
import pytest
from command_runs import face_emulator
from example_programs import EXAMPLES, TOOLS, URLS, VENDORS, Job, is_proxied, missing, program
from example_results import FILES, check_files

REAL_NAMES = {
    "https://api-us.faceplusplus.com",
    "https://api.metahumansdk.io",
    "https://yce-api-01.makeupar.com",
    "https://yce-us.s3-accelerate.amazonaws.com",
}


@pytest.mark.parametrize("options", [[], ["--sealed"]], ids=["by variables", "sealed"])
def test_the_programs_run_unmodified(
    picture: Path, expected: Mapping[str, bytes], tmp_path: Path, options: list[str]
) -> None:
    """One emulator serves the programs of all languages. Those that ignore its proxy run sealed.

    ``exec`` sets the variables with the base URLs. They are removed, so that the programs use their defaults.
    """
    languages = [each for each in TOOLS if missing(each) is None and is_proxied(each) == (not options)]
    if not languages:
        pytest.skip("this machine has no language that needs this")
    programs = [(language, vendor) for language in languages for vendor in VENDORS]
    jobs, done, har = tmp_path / "jobs.json", tmp_path / "runs.json", tmp_path / "calls.har"
    listed = [
        Job([*program(*each), str(picture), str(tmp_path.joinpath(*each))], dict.fromkeys(URLS))
        for each in programs
    ]
    jobs.write_text(json.dumps([asdict(job) for job in listed]))
    options = [*options, "--har", str(har), "--fail-on", "failures", "--fail-on", "warnings"]
    script = [sys.executable, str(EXAMPLES.parent / "tests" / "example_programs.py"), str(jobs), str(done)]
    ran = face_emulator("exec", *options, "--", *script, XDG_STATE_HOME=str(tmp_path))
    if ran.returncode == 125 and "namespaces" in ran.stderr:
        pytest.skip(ran.stderr.strip())
    assert ran.returncode == 0, ran.stderr
    for (language, vendor), run in zip(programs, json.loads(done.read_text()), strict=True):
        results = tmp_path / language / vendor
        printed = "".join(f"{results / name}\n" for name in FILES[vendor])
        assert (run["code"], run["out"]) == (0, printed), run["err"]
        # Java prints which options it found in the environment.
        assert re.fullmatch(r"(Picked up JAVA_TOOL_OPTIONS: .*\n)?", run["err"])
        check_files(vendor, results, expected)
    urls = [httpx.URL(entry["request"]["url"]) for entry in json.loads(har.read_text())["log"]["entries"]]
    assert {f"{url.scheme}://{url.netloc.decode()}" for url in urls} == REAL_NAMES
