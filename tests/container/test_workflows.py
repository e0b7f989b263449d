"""The workflows of GitHub Actions: pinned actions and permissions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerfile import ROOT

FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yaml"))

per_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def jobs_of(file: Path) -> dict[str, Any]:
    jobs: dict[str, Any] = yaml.safe_load(file.read_text())["jobs"]
    return jobs


def steps_of(file: Path) -> list[dict[str, Any]]:
    return [step for job in jobs_of(file).values() for step in job.get("steps", [])]


@per_file
def test_every_action_is_pinned_to_a_commit_with_its_version(file: Path) -> None:
    pinned = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./\.github/workflows/[\w-]+\.yaml")
    used = re.findall(r"uses: (.+)$", file.read_text(), re.MULTILINE)
    assert used
    for action in used:
        assert pinned.fullmatch(action), action


def test_an_action_has_the_same_version_everywhere() -> None:
    used = {action for file in FILES for action in re.findall(r"uses: (\S+@\S+)", file.read_text())}
    assert len(used) == len({action.partition("@")[0] for action in used})


@per_file
def test_a_workflow_can_read_the_repository_and_nothing_else(file: Path) -> None:
    assert yaml.safe_load(file.read_text())["permissions"] == {"contents": "read"}


def test_only_the_jobs_that_publish_have_more_permissions() -> None:
    granted = {
        (file.stem, name): job["permissions"]
        for file in FILES
        for name, job in jobs_of(file).items()
        if "permissions" in job
    }
    assert granted == {
        ("publish", "pypi"): {"id-token": "write"},
        ("publish", "image"): {"contents": "read", "packages": "write"},
    }


@per_file
def test_no_checkout_leaves_the_token_behind(file: Path) -> None:
    for step in steps_of(file):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_the_job_that_pypi_trusts_runs_no_code_of_the_repository() -> None:
    steps = jobs_of(FOLDER / "publish.yaml")["pypi"]["steps"]
    assert not any(step.get("uses", "").startswith("actions/checkout@") for step in steps)
    assert jobs_of(FOLDER / "publish.yaml")["pypi"]["environment"] == "pypi"
    assert steps[-1] == {"run": "uv publish --trusted-publishing always"}


def test_nothing_is_published_before_the_tests_have_passed() -> None:
    jobs = jobs_of(FOLDER / "publish.yaml")
    assert jobs["test"] == {"uses": "./.github/workflows/ci.yaml"}
    assert jobs["distribution"]["needs"] == "test"
    assert jobs["pypi"]["needs"] == jobs["image"]["needs"] == "distribution"


def test_uv_has_the_version_of_the_makefile() -> None:
    pinned = re.search(r"^UV_VERSION := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert pinned is not None
    for file in FILES:
        assert set(re.findall(r"uv==([\w.]+)", file.read_text())) <= {pinned[1]}


def test_the_image_is_checked_before_it_is_pushed() -> None:
    commands = [step["run"] for step in jobs_of(FOLDER / "publish.yaml")["image"]["steps"] if "run" in step]
    check = commands.index("container/check face-api-emulator")
    pushes = [number for number, command in enumerate(commands) if "docker push" in command]
    assert pushes
    assert check < min(pushes)
