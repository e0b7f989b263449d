"""Each program of ``examples/`` against the emulator: by a base URL, and unmodified by ``exec``."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import trimesh
from example_programs import EXAMPLES, TOOLS, URLS, VENDORS, Job, Run, is_proxied, missing, program, run_all
from PIL import Image
from trimesh.visual import TextureVisuals

from emulator.client import Client
from emulator.server import Listening

FACES = Path(__file__).parent.parent.parent / "fixtures" / "faces"
FEATURES = {"eye_size": 60, "face_width": -50, "lip_size": 40}
FILES = {
    "faceplusplus": ("face.obj", "face.mtl", "tex.jpg"),
    "metahuman": ("metahuman.json", "texture.png"),
    "perfectcorp": ("reshaped.jpg",),
}

each_language = pytest.mark.parametrize("language", TOOLS)
"""Each test runs all programs of a language at once, because they wait more than they compute."""


def needs(language: str) -> None:
    reason = missing(language)
    if reason is not None:
        pytest.skip(reason)


def variables(url: str, key: str) -> dict[str, str | None]:
    """Return the environment of a program. Without proxies, because the base URL is on this machine."""
    return {
        **dict.fromkeys(URLS, url),
        **dict.fromkeys(("FACEPLUSPLUS_API_KEY", "METAHUMAN_TOKEN", "PERFECTCORP_KEY"), key),
        "FACEPLUSPLUS_API_SECRET": "s",
        **dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")),
    }


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """Return a function that returns the command of a program.

    Java programs start from their classes, which is faster. Compiling them as Java 11 also checks them.
    """
    compiled: dict[Path, str] = {}

    def start(language: str, vendor: str, folder: Path = EXAMPLES) -> list[str]:
        if language != "java":
            return program(language, vendor, folder)
        if folder not in compiled:
            compiled[folder] = str(tmp_path_factory.mktemp("classes"))
            options = ["--release", "11", "-Xlint:all", "-Werror", "-d", compiled[folder]]
            sources = map(str, sorted((folder / "java").glob("*.java")))
            subprocess.run(["javac", *options, *sources], check=True)  # noqa: S603, S607 - any javac
        return ["java", "-XX:TieredStopAtLevel=1", "-cp", compiled[folder], VENDORS[vendor]]

    return start


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture with a name that is hard to quote."""
    return Path(
        shutil.copy(FACES / "ok-frontal.jpg", tmp_path_factory.mktemp("faces") / 'my "best", 1;2.jpg')
    )


@pytest.fixture(scope="module")
def expected(client: httpx.Client) -> Mapping[str, bytes]:
    """The files that the programs must write, from the emulator directly."""
    photo = (FACES / "ok-frontal.jpg").read_bytes()
    key = {"Authorization": "Bearer expected"}
    head = client.post(
        "/facepp/v1/3dface",
        data={"api_key": "expected", "api_secret": "s", "texture": "1", "mtl": "1"},
        files={"image_file_1": photo},
    ).json()
    person = client.post("/face_recon/run_pipeline", data={"token": "expected"}, files={"image_bytes": photo})
    tasks = "/s2s/v2.0/task/face-reshape"
    new = {"content_type": "image/jpg", "file_name": "a.jpg", "file_size": len(photo)}
    file = client.post("/s2s/v2.0/file", json={"files": [new]}, headers=key).json()["data"]["files"][0]
    upload = file["requests"][0]
    client.put(upload["url"], headers=upload["headers"], content=photo).raise_for_status()
    body = {"version": "1.0", "src_file_id": file["file_id"], "features": FEATURES, "global": {}}
    task = f"{tasks}/{client.post(tasks, json=body, headers=key).json()['data']['task_id']}"
    while (state := client.get(task, headers=key).json()["data"])["task_status"] == "running":
        time.sleep(0.02)
    return {
        "face.obj": base64.b64decode(head["obj_file"]),
        "face.mtl": base64.b64decode(head["mtl_file"]),
        "tex.jpg": base64.b64decode(head["texture_img"]),
        "metahuman.json": person.content,
        "texture.png": client.get(person.json()["result"]["face"]["textureUrl"]).content,
        "reshaped.jpg": client.get(state["results"]["url"]).content,
    }


def check_files(vendor: str, folder: Path, expected: Mapping[str, bytes]) -> None:
    """Check the files that a program has written."""
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES[vendor])
    if vendor == "faceplusplus":
        mesh = trimesh.load_mesh(folder / "face.obj", process=False, maintain_order=True)
        assert (len(mesh.vertices), len(mesh.faces)) == (2265, 4456)
        # The OBJ finds the MTL by its name, and the MTL the texture.
        assert isinstance(mesh.visual, TextureVisuals)
        assert mesh.visual.material.image.size == (1024, 1024)
    if vendor == "metahuman":
        result, right = (
            _described(text)
            for text in ((folder / FILES[vendor][0]).read_bytes(), expected["metahuman.json"])
        )
        assert len(result["face"]["blendShapes"]) == 80
        assert result == right
    if vendor == "perfectcorp":
        before, after = (
            np.asarray(Image.open(path)) for path in (FACES / "ok-frontal.jpg", folder / "reshaped.jpg")
        )
        assert after.shape == before.shape == (640, 640, 3)
        assert np.abs(after.astype(int) - before).mean() > 1
    for name in FILES[vendor]:
        if name != "metahuman.json":
            assert (folder / name).read_bytes() == expected[name], name


def _described(text: bytes) -> dict[str, Any]:
    """Return a description of a head without the path of the texture, which differs in each call."""
    result: dict[str, Any] = json.loads(text)["result"]
    del result["face"]["textureUrl"]
    return result


CALLS = {
    "faceplusplus": [("3dface", 403), ("3dface", 200)],
    "metahuman": [("run_pipeline", 200), ("static", 200)],
    "perfectcorp": [
        ("create_file", 200), ("upload", 200), ("create_reshape", 429), ("create_reshape", 200),
        ("check_reshape", 200), ("check_reshape", 200), ("download", 200),
    ],
}  # fmt: skip


@each_language
def test_the_programs_write_the_results_after_a_retry(
    server: Listening,
    picture: Path,
    command: Callable[..., list[str]],
    expected: Mapping[str, bytes],
    tmp_path: Path,
    language: str,
) -> None:
    needs(language)
    jobs = []
    for vendor in VENDORS:
        key = f"example-{language}-{vendor}"
        with Client(server.base_url, key) as me:
            if vendor == "faceplusplus":
                me.add_fault("CONCURRENCY_LIMIT_EXCEEDED", count=1)
            if vendor == "perfectcorp":
                me.add_fault("TooManyRequests", count=1, operation="create_reshape")
                me.set_progression("after_polls", polls=1)
        arguments = [str(picture), str(tmp_path / vendor)]
        jobs.append(Job([*command(language, vendor), *arguments], variables(server.base_url, key)))
    for vendor, run in zip(VENDORS, run_all(jobs), strict=True):
        assert run == Run(0, "".join(f"{tmp_path / vendor / name}\n" for name in FILES[vendor]), "")
        check_files(vendor, tmp_path / vendor, expected)
        with Client(server.base_url, f"example-{language}-{vendor}") as me:
            calls = me.calls()
        assert [(call.operation, call.status) for call in calls] == CALLS[vendor]
        assert [call.warnings for call in calls if call.warnings] == []
        repeated = CALLS[vendor][-2][0]
        starts = [call.real_started_at for call in calls if call.operation == repeated]
        if vendor != "metahuman":  # there is a pause before a retry, and between two polls
            assert np.diff(starts).min() > 0.9


@each_language
def test_a_png_gives_a_png(
    server: Listening, command: Callable[..., list[str]], tmp_path: Path, language: str
) -> None:
    needs(language)
    photo, result = tmp_path / "PHOTO.PNG", tmp_path / "new" / "folder" / "reshaped.png"
    Image.open(FACES / "ok-frontal.jpg").save(photo)
    key = f"example-png-{language}"
    words = [*command(language, "perfectcorp"), str(photo), str(result.parent)]
    assert run_all([Job(words, variables(server.base_url, key))]) == [Run(0, f"{result}\n", "")]
    with Image.open(result) as image:
        assert (image.format, image.size) == ("PNG", (640, 640))
    with Client(server.base_url, key) as me:
        (file,) = me.calls(operation="create_file")
    assert file.sent is not None
    assert file.sent["json"]["files"][0]["content_type"] == "image/png"


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
    command = [
        sys.executable, "-m", "emulator", "exec", *options, "--har", str(har), "--fail-on", "failures",
        "--fail-on", "warnings", "--", sys.executable, str(EXAMPLES.parent / "tests" / "example_programs.py"),
        str(jobs), str(done),
    ]  # fmt: skip
    environment = {**os.environ, "FACE_EMULATOR_WORKERS": "1", "XDG_STATE_HOME": str(tmp_path)}
    ran = subprocess.run(  # noqa: S603 - our own command
        command, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    if ran.returncode == 125 and "namespaces" in ran.stderr:
        pytest.skip(ran.stderr.strip())
    assert ran.returncode == 0, ran.stderr
    for (language, vendor), run in zip(programs, json.loads(done.read_text()), strict=True):
        results = tmp_path / language / vendor
        printed = "".join(f"{results / name}\n" for name in FILES[vendor])
        assert (run["code"], run["out"]) == (0, printed), run["err"]
        # Java says which options it found in the environment.
        assert re.fullmatch(r"(Picked up JAVA_TOOL_OPTIONS: .*\n)?", run["err"])
        check_files(vendor, results, expected)
    urls = [httpx.URL(entry["request"]["url"]) for entry in json.loads(har.read_text())["log"]["entries"]]
    assert {f"{url.scheme}://{url.netloc.decode()}" for url in urls} == REAL_NAMES


def test_the_java_programs_share_one_reader_of_json() -> None:
    """Each file has a copy, because it runs alone."""
    sources = [path.read_text() for path in sorted((EXAMPLES / "java").glob("*.java"))]
    readers = {source[source.index("    /** Reads JSON") :] for source in sources}
    assert (len(sources), len(readers)) == (4, 1)


def test_the_page_lists_every_program_and_the_scripts_are_executable() -> None:
    listed = set(re.findall(r"`(\w+/[\w-]+\.\w+)`", (EXAMPLES / "README.md").read_text()))
    files = [path for language in TOOLS for path in (EXAMPLES / language).iterdir() if path.is_file()]
    assert {path.relative_to(EXAMPLES).as_posix() for path in files} == listed - {
        "docs/unmodified-clients.md"
    }
    assert all(os.access(path, os.X_OK) for path in (EXAMPLES / "curl").iterdir())
