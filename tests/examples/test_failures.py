"""Failures of the programs of ``examples/``, and the ends of their retries and polls."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from example_programs import VENDORS, Job, Run, program, run_all
from example_results import each_language, needs, variables

from emulator.server import Listening
from face_api_emulator.client import Client

FACES = Path(__file__).parent.parent.parent / "fixtures" / "faces"


NO_FACE = {
    "faceplusplus": "NO_FACE_FOUND: image_file_1 (HTTP 400)",
    "metahuman": "face not found (code 4, HTTP 422)",
    "perfectcorp": "error_no_face: No face detected",
}
REFUSED = {
    "faceplusplus": ("AUTHENTICATION_ERROR", "AUTHENTICATION_ERROR (HTTP 401)"),
    "metahuman": ("UNREGISTERED_TOKEN", "unregistered token (code 0, HTTP 422)"),
    "perfectcorp": ("InvalidApiKey", "This API key is not recognized. (HTTP 401)"),
}
KEYS = {
    "faceplusplus": "FACEPLUSPLUS_API_KEY",
    "metahuman": "METAHUMAN_TOKEN",
    "perfectcorp": "PERFECTCORP_KEY",
}
CLOSED = "http://127.0.0.1:9"
"""A URL at which nothing listens."""


@each_language
def test_a_failure_ends_a_program_with_the_reason_in_one_line(
    server: Listening, picture: Path, command: Callable[..., list[str]], tmp_path: Path, language: str
) -> None:
    needs(language)
    jobs = {}
    upload = f"example-upload-{language}"
    with Client(server.base_url, upload) as me:
        me.add_fault("SignatureExpired", operation="upload")
    for vendor in VENDORS:
        for kind, photo, url, key in (
            ("no face", FACES / "no-face.jpg", server.base_url, "example"),
            ("refused", picture, server.base_url, f"fault-{REFUSED[vendor][0]}.example"),
            ("bad gateway", picture, server.base_url, "fault-bad-gateway.example"),
            ("malformed", picture, server.base_url, "fault-malformed.example"),
            ("no connection", picture, CLOSED, "example"),
            ("no key", picture, server.base_url, None),
            ("no picture", Path("absent.jpg"), server.base_url, "example"),
            *([("no upload", picture, server.base_url, upload)] if vendor == "perfectcorp" else []),
        ):
            given = {**variables(url, key or ""), **({} if key else {KEYS[vendor]: None})}
            words = [*command(language, vendor), str(photo), str(tmp_path / "none")]
            jobs[vendor, kind] = Job(words, given)
    runs = dict(zip(jobs, run_all(list(jobs.values())), strict=True))

    assert runs.pop(("perfectcorp", "no upload")) == Run(1, "", "error: Request has expired (HTTP 403)\n")
    for vendor in VENDORS:
        assert runs.pop((vendor, "no face")) == Run(1, "", f"error: {NO_FACE[vendor]}\n")
        assert runs.pop((vendor, "refused")) == Run(1, "", f"error: {REFUSED[vendor][1]}\n")
        assert runs.pop((vendor, "bad gateway")) == Run(1, "", "error: HTTP 502\n")
        usage = runs.pop((vendor, "no key"))
        assert (usage.code, usage.out) == (2, "")
        assert KEYS[vendor] in usage.err
        assert "absent.jpg" in runs[vendor, "no picture"].err
    # The other reasons are the words of the language's library.
    assert {kind for _, kind in runs} == {"malformed", "no connection", "no picture"}
    for which, run in runs.items():
        assert (run.code, run.out) == (1, ""), which
        assert re.fullmatch(r"(error|curl): .+\n", run.err), which
    assert not (tmp_path / "none").exists()


WAITS = re.compile(r"\b1(?:000)?(,?) 2(?:000)?\1 4(?:000)?\1 8(?:000)?\b")
DEADLINE = re.compile(r"(deadline_seconds ?= ?)120", re.IGNORECASE)


def impatient(language: str, folder: Path) -> None:
    """Write copies of the programs that retry at once, and that poll for one second."""
    for vendor in ("faceplusplus", "perfectcorp"):
        source = Path(program(language, vendor)[1])
        text, waits = WAITS.subn(r"0\1 0\1 0\1 0", source.read_text())
        text, deadlines = DEADLINE.subn(r"\g<1>1", text)
        assert (waits, deadlines) == (1, int(vendor == "perfectcorp")), source
        copy = folder / language / source.name
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(text)


@each_language
def test_retries_and_polls_end(
    server: Listening, picture: Path, command: Callable[..., list[str]], tmp_path: Path, language: str
) -> None:
    needs(language)
    impatient(language, tmp_path)
    limits = {
        "faceplusplus": ("CONCURRENCY_LIMIT_EXCEEDED", "CONCURRENCY_LIMIT_EXCEEDED (HTTP 403)"),
        "perfectcorp": ("TooManyRequests", "Too many requests (HTTP 429)"),
    }
    jobs = []
    for vendor, fault in (*((vendor, limits[vendor][0]) for vendor in limits), ("perfectcorp", "stuck-task")):
        key = f"example-{fault}-{language}"
        with Client(server.base_url, key) as me:
            me.add_fault(fault)
        words = [*command(language, vendor, tmp_path), str(picture), str(tmp_path / "none")]
        jobs.append(Job(words, variables(server.base_url, key)))
    *limited, stuck = run_all(jobs)
    for (fault, reason), run in zip(limits.values(), limited, strict=True):
        assert run == Run(1, "", f"error: {reason}\n")
        with Client(server.base_url, f"example-{fault}-{language}") as me:
            assert len(me.calls()) == 5
    with Client(server.base_url, f"example-stuck-task-{language}") as me:
        (task,) = me.tasks()
    assert stuck == Run(1, "", f"error: the task {task.id} still runs after 1 seconds\n")
