"""The programs in ``examples/``, and a function that runs many of them at once.

As a script, it runs the programs that a file lists, and writes what they did to a second file:
``python example_programs.py JOBS RUNS``. ``face-emulator exec`` can then run all of them with one emulator.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"

VENDORS = {"faceplusplus": "FacePlusPlus", "metahuman": "MetaHuman", "perfectcorp": "PerfectCorp"}
"""The vendors, with the names of their Java classes."""

COMMANDS = {"curl": "bash", "python": sys.executable, "node": "node", "java": "java", "php": "php"}
SUFFIXES = {"curl": ".sh", "python": ".py", "node": ".mjs", "java": ".java", "php": ".php"}
TOOLS = {
    "curl": ("bash", "curl", "jq"),
    "python": (),
    "node": ("node",),
    "java": ("java", "javac"),
    "php": ("php",),
}
URLS = ("FACEPLUSPLUS_URL", "METAHUMAN_URL", "PERFECTCORP_URL")

AT_ONCE = 4
"""Number of programs that run at once. They wait more than they compute."""


@dataclass(frozen=True)
class Job:
    """A command to run.

    ``environment`` has the variables to set, and those to remove with the value None.
    """

    command: Sequence[str]
    environment: dict[str, str | None]


@dataclass(frozen=True)
class Run:
    """What a command did."""

    code: int
    out: str
    err: str


@cache
def missing(language: str) -> str | None:
    """Return what this machine lacks to run the examples of a language, or None."""
    for tool in TOOLS[language]:
        if shutil.which(tool) is None:
            return f"this machine has no {tool}"
    if language == "python" and importlib.util.find_spec("requests") is None:
        return "requests is not installed"
    if language == "php":
        listed = subprocess.run(["php", "-m"], capture_output=True, text=True, check=False)  # noqa: S607 - any php
        if "curl" not in listed.stdout.split():
            return "php has no curl extension"
    return None


@cache
def is_proxied(language: str) -> bool:
    """Return whether environment variables alone bring a language's programs to the proxy."""
    if language != "node":
        return True
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S607
    return int(version.removeprefix("v").partition(".")[0]) >= 24


def program(language: str, vendor: str, folder: Path = EXAMPLES) -> list[str]:
    """Return the command that runs an example, without its arguments."""
    name = VENDORS[vendor] if language == "java" else vendor
    return [COMMANDS[language], str(folder / language / f"{name}{SUFFIXES[language]}")]


def run_all(jobs: Sequence[Job]) -> list[Run]:
    """Run commands, several at once, and return what each did."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(_run, jobs))


def _run(job: Job) -> Run:
    environment = {name: value for name, value in os.environ.items() if name not in job.environment}
    environment |= {name: value for name, value in job.environment.items() if value is not None}
    done = subprocess.run(  # noqa: S603 - our own commands
        job.command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return Run(done.returncode, done.stdout, done.stderr)


if __name__ == "__main__":
    given, result = map(Path, sys.argv[1:])
    made = run_all([Job(**each) for each in json.loads(given.read_text())])
    result.write_text(json.dumps([asdict(each) for each in made]))
