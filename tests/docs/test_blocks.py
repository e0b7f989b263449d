"""Every code block of the documentation runs, page by page and from top to bottom."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from documents import DOCS, PAGES, ROOT, Block, blocks_of

from emulator.backends.queue.pool import WorkerPool
from emulator.control.scenario_files import parse_scenario
from emulator.server import running_server
from emulator.settings import Settings
from emulator.version import VERSION

BASE_URL = "http://127.0.0.1:3468"
SHELL = {"sh", "bash"}
NOT_RUN = {"text", ""}
"""Output and formulas."""
SEPARATOR = "\x1e"
GUIDE = DOCS / "adding-a-vendor.md"

BLOCKS = [(page, block) for page in PAGES for block in blocks_of(page)]
WITH_MAKE = list(dict.fromkeys(page for page, block in BLOCKS if block.is_make))


def is_docker(block: Block) -> bool:
    return block.source.startswith("docker ")


def script_of(blocks: list[Block]) -> str:
    """Return one script that runs the blocks in order, and prints a separator before each."""
    parts = ["set -euo pipefail"]
    for block in blocks:
        parts.append("printf '\\036'")
        if block.file is not None:
            parts.append(f"cat > {shlex.quote(block.file)} <<'END_OF_FILE'\n{block.source}END_OF_FILE")
        elif block.language == "python":
            parts.append(f"python - <<'END_OF_PYTHON'\n{block.source}END_OF_PYTHON")
        else:
            parts.append(block.source)
    return "\n".join(parts)


def runnable(page: Path) -> list[Block]:
    return [
        block
        for block in blocks_of(page)
        if block.language in SHELL | {"python"}
        and not block.is_make
        and not is_docker(block)
        and not (page == GUIDE and block.file is not None)  # quoted: see test_guide.py
    ]


@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page)], ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_in_order(page: Path, tmp_path: Path, workers: WorkerPool) -> None:
    for name in ("examples", "fixtures", "tests", ".venv"):
        (tmp_path / name).symlink_to(ROOT / name)
    blocks = runnable(page)
    if shutil.which("curl") is None and any("curl " in block.source for block in blocks):
        pytest.skip("curl is not installed, which the examples of this page use")
    with running_server(Settings(), workers=workers) as server:
        done = subprocess.run(  # noqa: S603 - the documents' own commands
            ["/bin/bash", "-c", script_of(blocks).replace(BASE_URL, server.base_url)],
            cwd=tmp_path,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "FACE_EMULATOR_URL": server.base_url,
                "FACE_EMULATOR_WORKERS": "1",
                # Loading all installed plugins takes pytest 1.5 s.
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTEST_PLUGINS": "face_api_emulator.pytest_plugin",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
    printed = done.stdout.split(SEPARATOR)[1:]
    assert done.returncode == 0, f"{blocks[len(printed) - 1].source}\n{done.stdout[-2000:]}\n{done.stderr}"
    for block, output in zip(blocks, printed, strict=True):
        for expected in re.findall(r"^# -> (.*)$", block.source, re.MULTILINE):
            assert expected in output, block.source


def test_every_language_is_checked_by_one_of_these_tests() -> None:
    checked = SHELL | NOT_RUN | {"python", "toml", "yaml", "json", "markdown"}
    assert {block.language for _, block in BLOCKS} <= checked
    assert {page for page, block in BLOCKS if block.language == "markdown"} <= {GUIDE}


@pytest.mark.parametrize("page", WITH_MAKE, ids=lambda page: page.stem)
def test_make_commands_are_those_that_ci_runs(page: Path) -> None:
    script = (ROOT / ".ci" / "run").read_text()
    for block in filter(lambda block: block.is_make, blocks_of(page)):
        for line in block.source.splitlines():
            command = line.partition("#")[0].strip()
            assert re.search(rf"^{re.escape(command)}\b", script, re.MULTILINE), command


def yaml_blocks() -> list[dict[str, Any]]:
    return [yaml.safe_load(block.source) for _, block in BLOCKS if block.language == "yaml"]


def test_docker_commands_use_services_of_the_compose_file() -> None:
    commands = [block.source.strip() for _, block in BLOCKS if is_docker(block)]
    assert commands == [
        "docker compose up --build",
        "docker compose --profile transparent run --build --rm client",
        "docker compose --profile scaled up --build balancer",
    ]
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert services["face-api-emulator"]["build"] == "."
    assert services["client"]["profiles"] == ["transparent"]
    assert services["balancer"]["profiles"] == ["scaled"]
    assert (ROOT / "Dockerfile").exists()


def test_compose_examples_have_the_options_of_the_compose_file() -> None:
    shipped = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["face-api-emulator"]
    examples = [block["services"]["face-api-emulator"] for block in yaml_blocks() if "services" in block]
    assert examples
    for example in examples:
        assert {name: value for name, value in example.items() if name != "build"} == {
            name: shipped[name] for name in ("platform", "read_only", "tmpfs", "ports")
        }


def test_workflow_examples_use_make_targets_and_paths_that_exist() -> None:
    jobs = [block["jobs"]["test"] for block in yaml_blocks() if "jobs" in block]
    (job,) = (job for job in jobs if "services" not in job)
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert "make -C face-api-emulator run &" in commands
    assert any(command.endswith(f"{BASE_URL}/_emulator/ready") for command in commands)


def test_examples_of_service_containers_use_the_published_image_and_its_port() -> None:
    shipped = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["face-api-emulator"]
    image = f"ghcr.io/your-organisation/face-api-emulator:{VERSION}"
    (github,) = (
        job["services"]["face-api-emulator"]
        for job in (block["jobs"]["test"] for block in yaml_blocks() if "jobs" in block)
        if "services" in job
    )
    assert github == {"image": image, "ports": shipped["ports"]}
    (gitlab,) = (block["test"] for block in yaml_blocks() if "test" in block)
    (service,) = gitlab["services"]
    assert service == {"name": image, "alias": "face-api-emulator"}
    url = BASE_URL.replace("127.0.0.1", service["alias"])
    assert gitlab["variables"] == {"FACEPP_BASE_URL": url}
    assert gitlab["script"][0].endswith(f"{url}/_emulator/ready")


def test_toml_blocks_are_scenarios() -> None:
    sources = [block.source for _, block in BLOCKS if block.language == "toml"]
    assert sources
    for source in sources:
        assert parse_scenario("docs.toml", source).rules, tomllib.loads(source)


def test_json_blocks_are_json() -> None:
    sources = [
        block.source
        for page in PAGES
        for block in blocks_of(page, generated=True)
        if block.language == "json" and block.file is None
    ]
    assert sources
    for source in sources:
        json.loads(source)
