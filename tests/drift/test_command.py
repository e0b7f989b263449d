from __future__ import annotations

import io
import json
import re
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from emulator.backends.queue.pool import WorkerPool
from emulator.cli import app
from emulator.drift.command import POLITE_SECONDS, DriftFailed, DriftOptions, run_drift
from emulator.drift.comparison import Difference
from emulator.drift.correction import Correction
from emulator.drift.report import print_findings, short_text
from emulator.drift.run import Compared, Finding
from emulator.drift.samples import golden_folder, read_samples
from emulator.server import running_server
from emulator.settings import Settings
from emulator.web.vendor import discover_vendors

KEY = "real-bearer-of-mine"
QUICK = ("--only", "units", "--only", "unknown", "--only", "unknown-key")


@pytest.fixture(autouse=True)
def warm(monkeypatch: pytest.MonkeyPatch, workers: WorkerPool) -> None:
    """Let the emulators that ``run_drift`` starts share a warm worker."""
    monkeypatch.setattr("emulator.drift.command.running_server", partial(running_server, workers=workers))


def drift(base_url: str, *arguments: str, **environment: str) -> Any:
    common = ["drift", "--vendor", "perfectcorp", "--base-url", base_url, "--key", KEY]
    return CliRunner().invoke(app, [*common, *arguments], env={"COLUMNS": "200", **environment})


def test_drift_reports_no_difference_from_an_equal_service(real: Any, tmp_path: Path) -> None:
    """The command runs in its own process, as it does for a user."""
    report, folder = tmp_path / "report.json", tmp_path / "recorded"
    done = subprocess.run(  # noqa: S603 - our own command
        [
            sys.executable, "-m", "emulator", "drift", "--vendor", "perfectcorp", "--base-url", real.base_url,
            "--key", KEY, *QUICK, "--json", str(report), "--record", str(folder),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 samples, at least 10 calls to" in done.stdout
    assert "not real people" in done.stdout
    assert "3 samples, 10 calls, 0 differences" in done.stdout
    said = json.loads(report.read_text())
    assert [(one["name"], one["calls"], one["differences"]) for one in said["samples"]] == [
        ("units", 4, []),
        ("unknown-key", 2, []),
        ("unknown", 4, []),
    ]
    assert read_samples(folder).keys() == {"units", "unknown", "unknown-key"}
    written = done.stdout + "".join(path.read_text() for path in (report, *folder.iterdir()))
    assert KEY not in written


def test_differences_exit_with_1_and_the_printed_setting_removes_them(
    different_service: Any, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    found = drift(different_service.base_url, "--only", "unknown", "--json", str(report))
    assert found.exit_code == 1
    assert "4 differences" in found.stdout
    assert [
        (one["step"], one["what"], one["place"], one["real"], one["emulated"])
        for one in json.loads(report.read_text())["samples"][0]["differences"]
    ] == [
        (3, "status", "status", 404, 400),
        (3, "value", "body.status", 404, 400),
        (3, "value", "body.error", "Task not found", "Invalid task ID"),
        (4, "status", "status", 400, 403),
    ]
    setting = re.search(r"^(FACE_EMULATOR_VENDORS__PERFECTCORP__ERRORS)='(.*)'$", found.stdout, re.MULTILINE)
    assert setting is not None
    corrected = drift(different_service.base_url, "--only", "unknown", **{setting[1]: setting[2]})
    assert (corrected.exit_code, "0 differences" in corrected.stdout) == (0, True)


def test_recorded_samples_can_be_sent_instead_of_the_packages_own(real: Any, tmp_path: Path) -> None:
    assert drift(real.base_url, "--only", "unknown-key", "--record", str(tmp_path)).exit_code == 0
    again = drift(real.base_url, "--golden", str(tmp_path))
    assert (again.exit_code, "1 sample, 2 calls, 0 differences" in again.stdout) == (0, True)


def test_list_shows_all_samples_and_which_are_not_sent() -> None:
    for vendor in ("faceplusplus", "metahuman", "perfectcorp"):
        said = CliRunner().invoke(app, ["drift", "--vendor", vendor, "--list"], env={"COLUMNS": "200"})
        assert said.exit_code == 0
        from_package = read_samples(golden_folder(_vendor(vendor)))
        lines = said.stdout.splitlines()[1:]
        assert [line.split()[0] for line in lines] == list(from_package)
        assert any("not sent" in line for line in lines)


def _vendor(name: str) -> Any:
    return next(vendor for vendor in discover_vendors(Settings().vendor_packages) if vendor.name == name)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--vendor", "facebook"], "there is no vendor facebook; choose one of faceplusplus, metahuman, "),
        (["--only", "nothing"], "there is no sample nothing; choose from delete, invalid-parameters"),
        (["--only", "refused-keys"], "no sample can be sent"),
        (["--base-url", "api.example.com"], "is not a base URL"),
        (["--base-url", "https://me:pw@api.example.com"], "must not have credentials"),
        (["--vendor", "faceplusplus"], "not have the vendor's form; write api_key:api_secret"),
        (["--key", ""], "a key is required; pass key with --key or in FACE_DRIFT_KEY"),
        # Not on loopback, and without a terminal on which to ask.
        (["--base-url", "https://api.example.com"], "nothing was sent; answer the question with yes"),
        (["--golden", "nowhere"], "the samples cannot be read"),
    ],
)
def test_invalid_arguments_exit_with_2_before_any_request(arguments: list[str], said: str) -> None:
    failed = drift("http://127.0.0.1:9", *arguments)
    assert failed.exit_code == 2
    assert said in failed.stderr
    assert KEY not in failed.output


def test_an_unreachable_service_exits_with_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    failed = drift(f"http://127.0.0.1:{port}", "--only", "units")
    assert failed.exit_code == 2
    assert (
        f"http://127.0.0.1:{port} did not answer GET /s2s/v1.0/client/credit: ConnectError" in failed.stderr
    )


def test_yes_allows_requests_to_another_host(real: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.drift.command._is_loopback", lambda _host: False)
    refused = drift(real.base_url, "--only", "unknown-key", "--pace", "0.01")
    assert (refused.exit_code, real.bent.calls) == (2, [])
    agreed = drift(real.base_url, "--only", "unknown-key", "--pace", "0.01", "--yes")
    assert (agreed.exit_code, len(real.bent.calls)) == (0, 2)
    assert "0.01 s apart" in agreed.stdout


def test_requests_to_another_host_are_announced_and_need_consent() -> None:
    printed = io.StringIO()
    asked: list[str] = []

    def refuse() -> bool:
        asked.append(printed.getvalue())
        return False

    options = DriftOptions("faceplusplus", "http://api.example.com", "k:s:t", only=("success", "no-face"))
    with pytest.raises(DriftFailed, match="nothing was sent"):
        run_drift(options, Console(file=printed, width=80), refuse)
    assert asked[0].splitlines() == [
        f"Face++: 2 samples, at least 2 calls to http://api.example.com, {POLITE_SECONDS} s apart.",
        "The vendor may bill these calls to your key.",
        "The pictures show synthetic faces, not real people. The command does not print or store the key.",
        "The URL is not https, so the key is not encrypted in transit.",
    ]


def test_a_narrow_terminal_shows_values_whole_and_markup_literally() -> None:
    printed = io.StringIO()
    text = "[bold]no[/bold] " + "x" * 60
    difference = Difference("value", "body.a_rather_long_name_of_a_member", text, None)
    finding = Finding("unknown", 2, "GET /a/{task_id}", difference, Correction("nothing"))
    print_findings(Console(file=printed, width=60), [Compared("unknown", (finding,), 3, None)], None)
    lines = printed.getvalue().splitlines()
    assert lines[0] == "unknown, step 3: GET /a/{task_id}"
    assert lines[-3:] == [
        "What to correct:",
        "- nothing [unknown: body.a_rather_long_name_of_a_member]",
        "1 sample, 3 calls, 1 difference",
    ]
    shown = "".join("".join(lines[4:-3]).split())
    assert "…" not in shown
    assert shown.count("x") == 60
    assert "[bold]no[/bold]" in shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ({"$type": "integer"}, "integer"),
        ({"$matches": "[0-9a-f]{32}"}, "/[0-9a-f]{32}/"),
        ({"$url": ".jpg", "query": ["a", "b"]}, "URL .jpg ?a&b"),
        (
            {"$file": "jpeg", "width": 2, "height": 1, "bytes": 9, "sha256": "x"},
            "jpeg width=2 height=1 bytes=9",
        ),
        ({"$numbers": 80}, "80 numbers"),
        ({"$each": {"$type": "any"}}, "each any"),
        ({"a": [1]}, '{"a": [1]}'),
        ("[bold]x", "[bold]x"),
        ("x" * 200, "x" * 120 + "…"),
        ("\x1b[2J\ud800", r'"\u001b[2J\ud800"'),
    ],
)
def test_values_are_printed_briefly(value: Any, text: str) -> None:
    assert short_text(value) == text
