"""The guide for adding a vendor quotes the example vendor, and mentions all of it."""

from __future__ import annotations

import pytest
from documents import DOCS, ROOT, blocks_of

EXAMPLE = ROOT / "tests" / "example_vendor"
GUIDE = DOCS / "adding-a-vendor.md"
QUOTES = [(block.file, block.source) for block in blocks_of(GUIDE) if block.file is not None]


@pytest.mark.parametrize(("name", "quoted"), QUOTES, ids=[name for name, _ in QUOTES])
def test_a_quote_is_part_of_its_file(name: str, quoted: str) -> None:
    assert f"\n{quoted}" in f"\n{(EXAMPLE / name).read_text()}"


def test_every_file_of_the_example_is_mentioned() -> None:
    files = [path for path in EXAMPLE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    names = [path.relative_to(EXAMPLE).as_posix() for path in files]
    assert len(names) > 20
    assert [name for name in names if f"`{name}`" not in GUIDE.read_text()] == []


def test_every_block_is_a_quote_or_a_command() -> None:
    assert {block.language for block in blocks_of(GUIDE) if block.file is None} <= {"sh", ""}
    assert len(QUOTES) > 15
