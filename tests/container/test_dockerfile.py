"""Checks of the Dockerfile that do not build it. ``container/check`` tests the image."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
from dockerfile import ROOT, final, final_stage, instructions
from vendor_data import VENDORS

from emulator.cli import app
from emulator.commands.connection import BASE_URL
from emulator.variables import unknown_variables

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PORT = BASE_URL.rpartition(":")[2]
USER = "10001:0"


def copied_from_the_context() -> set[str]:
    copies = [each.text.split() for each in instructions() if each.name == "COPY"]
    return {
        name.rstrip("/").partition("/")[0]
        for words in copies
        if not words[0].startswith("--from=")
        for name in words[:-1]
    }


def test_every_stage_begins_with_the_python_image_or_another_stage() -> None:
    first, *_ = instructions()
    assert first.name == "ARG"
    assert list(first.pairs) == ["PYTHON_IMAGE"]
    images = {"${PYTHON_IMAGE}"}
    stages: set[str] = set()
    for instruction in instructions():
        if instruction.name == "FROM":
            image, *name = instruction.text.split()
            assert image in images | stages
            stages |= {word for word in name if word != "AS"}
        if instruction.name == "COPY" and instruction.text.startswith("--from="):
            assert instruction.text.partition(" ")[0].removeprefix("--from=") in stages


def test_the_python_image_has_a_version_that_the_project_supports() -> None:
    image = instructions()[0].pairs["PYTHON_IMAGE"]
    found = re.fullmatch(r"python:(3\.\d+)-slim-\w+", image)
    assert found is not None
    assert f"Programming Language :: Python :: {found[1]}" in PROJECT["classifiers"]


def test_uv_has_the_version_of_the_makefile() -> None:
    pinned = re.search(r"^UV_VERSION := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert pinned is not None
    assert [each.pairs for each in instructions() if each.name == "ARG"][1:] == [{"UV_VERSION": pinned[1]}]


def test_only_what_is_copied_is_sent_to_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[0] == "*"
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert allowed == copied_from_the_context()
    for name in allowed:
        assert (ROOT / name).exists(), name


def test_a_change_of_the_code_installs_no_dependency_again() -> None:
    found = instructions()
    sync = next(number for number, each in enumerate(found) if "uv sync" in each.text)
    code = next(number for number, each in enumerate(found) if each.text == "emulator emulator")
    assert sync < code
    assert "--no-install-project" in found[sync].text
    assert "--frozen" in found[sync].text
    own = [each.text.split() for each in final_stage() if each.name == "COPY"]
    assert [words[0] for words in own] == ["--from=dependencies", "--from=project"]


def test_the_user_is_a_number_of_group_0() -> None:
    assert final("USER").text == USER
    uid, _, gid = USER.partition(":")
    (install,) = (each.text for each in final_stage() if "install -d" in each.text)
    assert f"-o {uid} -g {gid} -m 2775" in install


def test_ports_of_the_server_and_of_the_health_check_are_the_same() -> None:
    assert final("EXPOSE").text == PORT
    every = "0.0.0.0"  # noqa: S104 - in the container
    assert final("CMD").items == ["face-emulator", "serve", "--host", every, "--port", PORT]
    assert final("HEALTHCHECK").items == ["face-emulator", "healthcheck"]
    commands = app
    assert isinstance(commands, click.Group)
    assert "healthcheck" in commands.commands


def test_the_server_is_stopped_by_the_signal_that_it_handles() -> None:
    assert final("STOPSIGNAL").text == "SIGTERM"


def test_labels_are_those_of_the_project() -> None:
    labels = final("LABEL").pairs
    assert labels["org.opencontainers.image.title"] == PROJECT["name"]
    assert labels["org.opencontainers.image.licenses"] == PROJECT["license"]
    assert PROJECT["description"].startswith(labels["org.opencontainers.image.description"])


def test_variables_of_the_image_are_settings() -> None:
    variables = final("ENV").pairs
    assert variables["FACE_EMULATOR_CONTROL"] == "on"
    assert unknown_variables(variables, [*VENDORS.values()]) == []


def test_the_scripts_are_executable() -> None:
    for name in ("check", "shrink"):
        if sys.platform != "win32":
            assert Path(ROOT, "container", name).stat().st_mode & 0o111 == 0o111
