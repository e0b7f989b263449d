"""The files of ``examples/``."""

from __future__ import annotations

import os
import re

from example_programs import EXAMPLES, TOOLS


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
