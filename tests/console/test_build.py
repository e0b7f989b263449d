"""The script that builds the console, with programs that stand in for Node.js and npm."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCES = ROOT / "console"

NODE = """#!/bin/sh
if [ "$1" = --version ]; then echo {version}; exit; fi
mkdir -p "$2" && echo built > "$2/index.html"
"""
NPM = "#!/bin/sh\necho 'no network' >&2\nexit {code}\n"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with a Node.js and an npm that work."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("node", NODE.format(version="v20.1.0")), ("npm", NPM.format(code=0))):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def build(programs: Path, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, SOURCES / "build.py", "--output", output, *options],
        env={**os.environ, "PATH": f"{programs}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_it_bundles_into_the_given_folder(programs: Path, tmp_path: Path) -> None:
    done = build(programs, tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "index.html").read_text() == "built\n"


@pytest.mark.parametrize(("options", "code"), [((), 1), (("--optional",), 0)])
def test_without_the_registry_the_build_fails_unless_it_is_optional(
    programs: Path, tmp_path: Path, options: tuple[str, ...], code: int
) -> None:
    (programs / "npm").write_text(NPM.format(code=7))
    done = build(programs, tmp_path / "out", *options)
    assert done.returncode == code
    assert "the console was not built: npm could not install the libraries: no network" in done.stderr
    assert ("make console" in done.stderr) == (code == 0)
    assert not (tmp_path / "out").exists()


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((SOURCES / "package-lock.json").read_text())
    own = json.loads((SOURCES / "package.json").read_text())
    assert lock["packages"][""]["dependencies"] == own["dependencies"]
    resolved = {each["resolved"] for each in lock["packages"].values() if "resolved" in each}
    assert all(url.startswith("https://registry.npmjs.org/") for url in resolved)
    assert all("integrity" in each for name, each in lock["packages"].items() if name)
    # Exact versions, so that every build has the same bytes.
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", each) for each in own["dependencies"].values())


def test_distributions_contain_the_built_files() -> None:
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert "/emulator/control/console/built/" in hatch["artifacts"]
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "/emulator/control/console/built/" in ignored
